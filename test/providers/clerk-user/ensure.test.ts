import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { isOurs } from "../../../providers/clerk/user";
import { differs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { readUser } from "../../../providers/postgres/ledger-users";
import type { User } from "../../../sandbox/clerk/server";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import {
  legacyUsers,
  MARCUS,
  MIGRATION_ID,
  openTestSystems,
  PROJECT,
  SARAH,
  STACK,
  type TestSystems,
} from "../../systems";

const { userId } = SARAH;
const MARK = { clerk_migration: { migration: MIGRATION_ID } };
const NEW_PASSWORD_DIGEST = legacyUsers.at(-1)?.passwordDigest ?? "";

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
});
afterEach(() => on.close());

const ensure = async (id = userId) => ensureUser(on.systems, await on.declared(id));
const ledger = (id = userId) => readUser(on.systems.database, on.migration, id);
const signedIn = (password: string) => signIn(on.clerk.issuer, { identifier: SARAH.email, password });

/** What a repetition must not do: write anything, anywhere. */
async function expectNothingMoreToDo(id = userId): Promise<void> {
  const [rows, writes, before] = [await snapshotDatabase(on.database.url), on.written(), await ledger(id)];
  await ensureUser(on.systems, await on.declared(id));
  expect(on.written()).toEqual(writes);
  expect(describeDifference(rows, await snapshotDatabase(on.database.url))).toEqual([]);
  expect(await ledger(id)).toEqual(before);
}

/** The Clerk user with this external id, and with this address: one and the same. */
function onlyUser(): User {
  const users = [...on.clerk.store.users.values()].filter(
    (user) =>
      user.externalId === userId || user.emailAddresses.some((one) => one.emailAddress === SARAH.email),
  );
  expect(users).toHaveLength(1);
  const [user] = users;
  if (user === undefined) throw new Error("nobody");
  return user;
}

/** Somebody whom Clerk knows and this stack did not make. */
function stranger(changes: Partial<User>): User {
  const [template] = on.clerk.store.users.values();
  if (template === undefined) throw new Error("The local Clerk has no users.");
  const address = { ...template.emailAddresses[0], id: "idn_stranger", emailAddress: "stranger@example.com" };
  return on.clerk.store.putUser({
    ...template,
    id: "user_stranger",
    emailAddresses: [{ status: "verified", strategy: "admin", createdAt: 0, updatedAt: 0, ...address }],
    primaryEmailAddressId: "idn_stranger",
    ...changes,
  });
}

function withAddress(emailAddress: string): Partial<User> {
  const address = { id: "idn_x", emailAddress, status: "verified", strategy: "admin" } as const;
  return { emailAddresses: [{ ...address, createdAt: 0, updatedAt: 0 }], primaryEmailAddressId: "idn_x" };
}

const change = (set: string, ...values: unknown[]) =>
  on.query(`update users set ${set} where user_id = '${userId}'`, values);

describe("a new user", () => {
  test("is created in Clerk with everything the row says, linked, and recorded", async () => {
    const outputs = await ensure();

    const live = onlyUser();
    expect(live).toMatchObject({
      externalId: userId,
      firstName: "Sarah",
      lastName: "Chen",
      password: { digest: SARAH.passwordDigest, hasher: "bcrypt" },
      createdAt: Date.parse(SARAH.createdAt),
      privateMetadata: MARK,
      publicMetadata: {},
    });
    expect(live.emailAddresses).toMatchObject([{ emailAddress: SARAH.email, status: "verified" }]);
    expect(await on.link(userId)).toBe(live.id);
    expect(await ledger()).toMatchObject({
      status: "linked",
      clerkUserId: live.id,
      clerkInstanceId: on.clerk.instanceId,
      origin: "created",
      passwords: "carry",
      attempt: 1,
      failure: null,
    });
    expect(outputs).toMatchObject({ clerkUserId: live.id, condition: "ok", seen: "ok", lastSignInAt: "" });
    expect(on.written()).toEqual(["POST /users"]);
  });

  test("is done with: nothing more is written, and the next plan sees no difference", async () => {
    const outputs = await ensure();
    expect(differs(outputs, await on.declared(userId))).toBe(false);
    await expectNothingMoreToDo();
    expect((await on.plan()).users.find((user) => user.userId === userId)?.verdict).toBe("unchanged");
  });

  test("signs in to Clerk with the old password, and with no other", async () => {
    await ensure();
    expect(await signedIn(SARAH.password)).toMatchObject({ status: "complete", userId: onlyUser().id });
    expect(await signedIn("another password")).toMatchObject({ status: "refused" });
  });

  test("without a name, or with one word, gets just that", async () => {
    for (const email of ["noor@example.org", "tom@example.com"]) {
      const { userId: id = "" } = legacyUsers.find((user) => user.email === email) ?? {};
      await ensure(id);
      expect(on.live(id)).toMatchObject({
        firstName: email.startsWith("tom") ? "Tom" : null,
        lastName: null,
      });
      await expectNothingMoreToDo(id);
    }
  });

  test("has no password in Clerk where the setting says reset", async () => {
    const inputs = await on.declared(userId, { passwords: "reset" });
    const outputs = await ensureUser(on.systems, inputs);

    expect(onlyUser().password).toBeNull();
    expect(outputs.passwords).toBe("reset");
    expect(await signedIn(SARAH.password)).not.toMatchObject({ status: "complete" });
    await expectNothingMoreToDo();
  });

  test("whose digest Clerk refuses is created without a password, with a warning", async () => {
    const body = { errors: [{ code: "form_password_digest_invalid_code", message: "is invalid" }] };
    on.clerk.faults.add({ on: "POST /users", effect: { type: "answer", status: 422, body } });

    const outputs = await ensure();

    expect(onlyUser().password).toBeNull();
    expect(outputs.passwords).toBe("reset");
    expect(await ledger()).toMatchObject({ status: "linked", passwords: "reset" });
    expect(on.warnings).toEqual([
      `User ${userId}: Clerk does not take this password hash, so the user is created without a password and sets one at the first sign-in.`,
    ]);
    await expectNothingMoreToDo();
  });

  test("changes nothing of the application's data but clerk_user_id", async () => {
    const before = await snapshotDatabase(on.database.url);
    await ensure();
    expect(describeDifference(before, await snapshotDatabase(on.database.url))).toEqual([
      "Table public.users differs in: clerk_user_id.",
    ]);
  });

  test("costs one request to Clerk", async () => {
    await ensure(MARCUS.userId);
    const inputs = await on.declared(userId);
    const before = on.clerk.store.requests.length;
    await ensureUser(on.systems, inputs);
    expect(on.clerk.store.requests.slice(before).map((request) => request.kind)).toEqual(["POST /users"]);
  });
});

describe("somebody else in Clerk, since the plan,", () => {
  test("who has the address refuses this user, who is a candidate again, and is left alone", async () => {
    const inputs = await on.declared(userId);
    const other = stranger(withAddress(SARAH.email));

    await expect(ensureUser(on.systems, inputs)).rejects.toThrow(
      `Clerk has a user with the address of user ${userId} already (user_stranger).`,
    );

    expect(on.clerk.store.users.get(other.id)).toEqual(other);
    expect(await on.link(userId)).toBeNull();
    expect(await ledger()).toMatchObject({ status: "refused", failure: { code: "email-taken" } });
    expect(on.written()).toEqual([]);

    on.clerk.store.removeUser(other.id);
    await ensure();
    expect(await ledger()).toMatchObject({ status: "linked", failure: null });
  });

  test("who has the external id refuses this user and is left alone", async () => {
    const inputs = await on.declared(userId);
    const other = stranger({ externalId: userId });

    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "external-id-taken" });

    expect(on.clerk.store.users.get(other.id)).toEqual(other);
    expect(await ledger()).toMatchObject({ status: "refused" });
    expect(on.written()).toEqual([]);
  });

  test("who has the external id and the mark of another stack is not ours", async () => {
    const inputs = await on.declared(userId);
    stranger({
      externalId: userId,
      privateMetadata: { clerk_migration: { project: PROJECT, stack: "clerk-migration/other" } },
    });
    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "external-id-taken" });
  });
});

describe("a row that changes between plan and run", () => {
  test("and is gone is refused, and nothing is sent", async () => {
    const inputs = await on.declared(userId);
    await deleteRow();
    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "row-gone" });
    expect(on.written()).toEqual([]);
    expect(await ledger()).toMatchObject({ status: "refused", failure: { code: "row-gone" } });
  });

  test("and is linked by somebody else is refused, and the link stays", async () => {
    const inputs = await on.declared(userId);
    await change("clerk_user_id = $1", "user_by_hand");
    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "linked-elsewhere" });
    expect(on.written()).toEqual([]);
    expect(await on.link(userId)).toBe("user_by_hand");
    expect(await ledger()).toMatchObject({ status: "refused" });
  });

  test("and has lost its digest is refused, whatever the way of its passwords", async () => {
    const inputs = await on.declared(userId);
    await change("password_hash = null");
    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "no-digest" });
    await expect(ensureUser(on.systems, { ...inputs, passwords: "reset" })).rejects.toMatchObject({
      code: "no-digest",
    });
    expect(on.written()).toEqual([]);
  });

  test("and has a new digest sends that one", async () => {
    const inputs = await on.declared(userId);
    await change("password_hash = $1", NEW_PASSWORD_DIGEST);
    const outputs = await ensureUser(on.systems, inputs);
    expect(onlyUser().password?.digest).toBe(NEW_PASSWORD_DIGEST);
    expect(differs(outputs, await on.declared(userId))).toBe(false);
  });

  test("and takes no link while the user is created gets that user taken back", async () => {
    const inputs = await on.declared(userId);
    on.clerk.faults.add({ on: "POST /users", effect: { type: "delay", ms: 300 } });
    const running = ensureUser(on.systems, inputs);
    await until(async () => (await ledger())?.status === "creating");
    await change("clerk_user_id = $1", "user_by_hand");

    await expect(running).rejects.toMatchObject({ code: "linked-elsewhere" });

    expect(on.written()).toEqual(["POST /users", "DELETE /users/{user_id}"]);
    expect(on.live(userId)).toBeUndefined();
    expect(await on.link(userId)).toBe("user_by_hand");
    expect(await ledger()).toMatchObject({ status: "refused" });
  });

  test("and is deleted while the user is created gets that user taken back", async () => {
    const inputs = await on.declared(userId);
    on.clerk.faults.add({ on: "POST /users", effect: { type: "delay", ms: 300 } });
    const running = ensureUser(on.systems, inputs);
    await until(async () => (await ledger())?.status === "creating");
    await deleteRow();

    await expect(running).rejects.toMatchObject({ code: "row-gone" });

    expect(on.live(userId)).toBeUndefined();
    expect(await ledger()).toMatchObject({ status: "refused" });
  });
});

describe("an answer that is lost", () => {
  test.each([
    ["the connection is cut after the user was created", { type: "cut-after" }],
    ["the connection is cut before anything happened", { type: "cut-before" }],
    ["the answer is cut off in the middle", { type: "truncated-json" }],
    ["the answer is empty", { type: "empty-body" }],
    ["a proxy answers for Clerk, which created the user", { type: "answer", status: 502, committed: true }],
    ["Clerk fails after it created the user", { type: "answer", status: 500, committed: true }],
    ["Clerk is unavailable", { type: "answer", status: 503 }],
    ["the resource is locked", { type: "answer", status: 409 }],
    ["the limit is used up for a second", { type: "answer", status: 429, retryAfter: 1 }],
  ] as const)("ends with one user, linked: %s", async (_story, effect) => {
    on.clerk.faults.add({ on: "POST /users", effect });

    await ensure();

    expect(on.written().filter((kind) => kind === "POST /users")).toHaveLength(1);
    expect(await on.link(userId)).toBe(onlyUser().id);
    expect(onlyUser().password?.digest).toBe(SARAH.passwordDigest);
    expect(await ledger()).toMatchObject({ status: "linked", passwords: "carry", failure: null });
    await expectNothingMoreToDo();
  });

  test("and stays lost leaves the ledger at creating, and the next run goes on from there", async () => {
    const inputs = await on.declared(userId);
    on.clerk.faults.add({ on: "POST /users", effect: { type: "cut-after" } });
    on.clerk.faults.add({ on: "GET /users", times: 5, effect: { type: "answer", status: 401 } });

    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "clerk-clerk_key_invalid" });
    expect(await ledger()).toMatchObject({
      status: "creating",
      failure: { code: "clerk-clerk_key_invalid" },
    });
    expect(await on.link(userId)).toBeNull();

    on.clerk.faults.clear();
    await on.restart();
    await ensure();
    expect(await on.link(userId)).toBe(onlyUser().id);
    expect(on.written()).toEqual(["POST /users"]);
    await expectNothingMoreToDo();
  });
});

describe("a run that was cut off", () => {
  /** The ledger as a killed process leaves it: claimed, and nothing after. */
  async function claimOnly(): Promise<void> {
    await on.query(
      `insert into clerk_migration.users (user_id, stack, clerk_instance_id, status, digest_fingerprint, migration_id)
       values ($1, $2, $3, 'creating', $4, $5)`,
      [
        ...[userId, STACK, on.clerk.instanceId],
        ...[(await on.declared(userId)).profile.digestFingerprint, on.migration.migrationId],
      ],
    );
  }

  /** As if it was killed between Clerk's answer and the link. */
  async function forgetLink(): Promise<void> {
    await change("clerk_user_id = null");
    await on.query(
      `update clerk_migration.users set status = 'creating', clerk_user_id = null, origin = null, passwords = null,
         profile_fingerprint = null, clerk_password_at = null, linked_at = null where user_id = $1`,
      [userId],
    );
  }

  test("after the claim is resumed with a look-up first", async () => {
    await claimOnly();
    expect((await on.plan()).users.find((user) => user.userId === userId)?.verdict).toBe("resume");
    const inputs = await on.declared(userId);
    const before = on.clerk.store.requests.length;

    await ensureUser(on.systems, inputs);

    const kinds = on.clerk.store.requests.slice(before).map((request) => request.kind);
    expect(kinds).toEqual(["GET /users", "POST /users"]);
    expect(await on.link(userId)).toBe(onlyUser().id);
    await expectNothingMoreToDo();
  });

  test("after the create is resumed with the user that is there", async () => {
    await ensure();
    const { id } = onlyUser();
    await forgetLink();
    await on.restart();

    await ensure();

    expect(onlyUser().id).toBe(id);
    expect(await on.link(userId)).toBe(id);
    expect(on.written()).toEqual(["POST /users"]);
    await expectNothingMoreToDo();
  });

  test("after the create records whether that user has a password, not what today's setting says", async () => {
    await ensure();
    await forgetLink();
    const outputs = await ensureUser(on.systems, await on.declared(userId, { passwords: "reset" }));
    expect(outputs.passwords).toBe("carry");
    expect(await ledger()).toMatchObject({ passwords: "carry" });
  });

  test("after the create, twice, still carries a digest that has changed meanwhile", async () => {
    await ensure();
    await forgetLink();
    await change("password_hash = $1", NEW_PASSWORD_DIGEST);
    on.clerk.faults.add({ on: "PATCH /users/{user_id}", times: 9, effect: { type: "answer", status: 403 } });
    await expect(ensure()).rejects.toThrow(userId);
    expect(await ledger()).toMatchObject({ status: "creating" });
    on.clerk.faults.clear();
    await on.restart();

    await ensure();

    expect(onlyUser().password?.digest).toBe(NEW_PASSWORD_DIGEST);
  });

  test("after the create whose row is gone is not forgotten: the ledger holds the Clerk user still", async () => {
    await ensure();
    await forgetLink();
    const inputs = await on.declared(userId);
    await deleteRow();

    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "row-gone" });

    expect(await ledger()).toMatchObject({ status: "creating", failure: { code: "row-gone" } });
  });

  test("in the middle of a rollback is resumed by linking again, whether or not Clerk's user is gone", async () => {
    for (const isGone of [false, true]) {
      await ensure();
      const { id } = onlyUser();
      await change("clerk_user_id = null");
      await on.query("update clerk_migration.users set status = 'unlinking' where user_id = $1", [userId]);
      if (isGone) on.clerk.store.removeUser(id);

      await ensure();

      expect(onlyUser().id === id).toBe(!isGone);
      expect(await on.link(userId)).toBe(onlyUser().id);
      await expectNothingMoreToDo();
    }
  });

  test("in the middle of a rollback that keeps the Clerk user marks and links that user again", async () => {
    await ensure();
    const { id } = onlyUser();
    await change("clerk_user_id = null");
    await on.query("update clerk_migration.users set status = 'unlinking' where user_id = $1", [userId]);
    on.clerk.store.changeUser(id, { privateMetadata: { theirs: 1 } });

    await ensure();

    expect(onlyUser()).toMatchObject({
      id,
      privateMetadata: { theirs: 1, clerk_migration: { migration: MIGRATION_ID } },
    });
    expect(await on.link(userId)).toBe(id);
    await expectNothingMoreToDo();
  });

  test("with a ledger that has lost the user links the one who is ours", async () => {
    const outputs = await ensure();
    await on.query("delete from clerk_migration.users");

    const again = await ensureUser(on.systems, { ...outputs, attempt: 2 });

    expect(again.clerkUserId).toBe(outputs.clerkUserId);
    expect(await ledger()).toMatchObject({ status: "linked", clerkUserId: outputs.clerkUserId });
    expect(on.written()).toEqual(["POST /users"]);
  });
});

describe("a changed row", () => {
  const rename = () =>
    change(
      "name = $1, email = $2, password_hash = $3",
      "Sara Chen-Lee",
      "Sara@example.com ",
      NEW_PASSWORD_DIGEST,
    );

  test("is applied to a user who has not signed in yet: names, address and password", async () => {
    const { id } = await ensure().then(onlyUser);
    await rename();
    expect((await on.plan()).users.find((user) => user.userId === userId)?.verdict).toBe("update");

    const outputs = await ensure();

    expect(on.live(userId)).toMatchObject({
      id,
      firstName: "Sara",
      lastName: "Chen-Lee",
      password: { digest: NEW_PASSWORD_DIGEST },
    });
    expect(on.live(userId)?.emailAddresses).toMatchObject([
      { emailAddress: "sara@example.com", status: "verified" },
    ]);
    expect(outputs).toMatchObject({ profile: { email: "sara@example.com" }, condition: "ok" });
    expect(differs(outputs, await on.declared(userId))).toBe(false);
    expect(on.clerk.store.outbox).toEqual([]);
    await expectNothingMoreToDo();
  });

  test("carries a corrected created_at over", async () => {
    await ensure();
    await on.query("update users set created_at = '2019-05-06T07:08:09.123Z' where user_id = $1", [userId]);

    await ensure();

    expect(on.live(userId)?.createdAt).toBe(Date.parse("2019-05-06T07:08:09.123Z"));
    await expectNothingMoreToDo();
  });

  test("touches nothing of a user who has signed in, but is acknowledged", async () => {
    await ensure();
    await signedIn(SARAH.password);
    const before = onlyUser();
    await rename();

    const outputs = await ensure();

    expect(on.clerk.store.users.get(before.id)).toEqual(before);
    expect(on.written()).toEqual(["POST /users"]);
    expect(outputs).toMatchObject({ condition: "email-changed", seen: "email-changed" });
    expect(outputs.lastSignInAt).toBe(new Date(before.lastSignInAt ?? 0).toISOString());
    expect(differs(outputs, await on.declared(userId))).toBe(false);
  });

  test("touches nothing of a user who has set a new password without signing in", async () => {
    await ensure();
    const { id, password } = onlyUser();
    if (password === null) throw new Error("no password");
    const own = { ...password, digest: "$2b$10$own", updatedAt: password.updatedAt + 60_000 };
    const before = on.clerk.store.changeUser(id, { password: own });
    await rename();

    await ensure();

    expect(on.clerk.store.users.get(id)).toEqual(before);
    expect(on.written()).toEqual(["POST /users"]);
    // Still remembered, so that a rollback asks before it deletes the account.
    expect((await ledger())?.clerkPasswordAt).toBe(password.updatedAt);
  });

  test("with no digest any more changes no password", async () => {
    await ensure();
    await change("password_hash = null");
    expect((await on.plan()).users.find((user) => user.userId === userId)?.verdict).toBe("unchanged");
    await expectNothingMoreToDo();
    expect(onlyUser().password?.digest).toBe(SARAH.passwordDigest);
  });

  test("with a new digest gives no password to a user who is to set one", async () => {
    await ensureUser(on.systems, await on.declared(userId, { passwords: "reset" }));
    await change("password_hash = $1", NEW_PASSWORD_DIGEST);
    await ensure();
    expect(onlyUser().password).toBeNull();
    await expectNothingMoreToDo();
  });

  test("that Clerk refuses fails this user alone, named, and the link stays", async () => {
    await ensure();
    await change("email = 'no address'");
    await expect(ensure()).rejects.toThrow(
      `User ${userId}: Clerk does not take the value of email_address: its format is invalid.`,
    );
    expect(await ledger()).toMatchObject({
      status: "linked",
      failure: { code: "clerk-form_param_format_invalid" },
    });
    expect(await on.link(userId)).toBe(onlyUser().id);
  });

  test("to an address that Clerk has already fails this user alone", async () => {
    await ensure();
    stranger({});
    await change("email = 'stranger@example.com'");
    await expect(ensure()).rejects.toThrow("Clerk has a user with this e-mail address already.");
    expect(onlyUser().emailAddresses).toMatchObject([{ emailAddress: SARAH.email }]);
  });
});

describe("a link", () => {
  test("that was lost is set again, by an attempt that is raised", async () => {
    const outputs = await ensure();
    await change("clerk_user_id = null");
    const declared = await on.declared(userId);
    expect(differs(outputs, declared)).toBe(true);

    const again = await ensureUser(on.systems, declared);

    expect(again).toMatchObject({ clerkUserId: outputs.clerkUserId, attempt: 2 });
    expect(await on.link(userId)).toBe(outputs.clerkUserId);
    expect(on.written()).toEqual(["POST /users"]);
    await expectNothingMoreToDo();
  });

  test("that leads to somebody else is reported, and both Clerk users stay", async () => {
    const outputs = await ensure();
    stranger({});
    await change("clerk_user_id = 'user_stranger'");
    await expect(ensureUser(on.systems, { ...outputs, attempt: 2 })).rejects.toThrow("was left alone");
    expect(on.clerk.store.users.has(outputs.clerkUserId)).toBe(true);
    expect(await on.link(userId)).toBe("user_stranger");
    expect(await ledger()).toMatchObject({ status: "linked" });
  });

  test("to a user who was deleted in Clerk fails with the remedy, and nobody is created anew", async () => {
    const outputs = await ensure();
    on.clerk.store.removeUser(outputs.clerkUserId);
    await expect(ensure()).rejects.toThrow(/was deleted in Clerk .* recreate makes the user anew/);
    expect(on.written()).toEqual(["POST /users"]);
    expect(await ledger()).toMatchObject({ status: "linked", failure: { code: "gone" } });
  });

  test("to a user who has lost our mark is left alone", async () => {
    const { clerkUserId } = await ensure();
    on.clerk.store.changeUser(clerkUserId, { privateMetadata: {} });
    await expect(ensure()).rejects.toMatchObject({ code: "not-ours" });
    expect(on.written()).toEqual(["POST /users"]);
  });
});

describe("another owner", () => {
  test("of another stack keeps its user", async () => {
    await ensure();
    await expect(
      ensureUser(on.systems, { ...(await on.declared(userId)), stack: "clerk-migration/other" }),
    ).rejects.toThrow(`User ${userId} belongs to the stack ${STACK}.`);
    expect(await ledger()).toMatchObject({ stack: STACK, status: "linked", failure: null });
  });

  test("in another Clerk instance keeps its user", async () => {
    await ensure();
    const inputs = await on.declared(userId);
    await on.query("update clerk_migration.migrations set clerk_instance_id = 'ins_other'");
    await on.restart();
    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "other-instance" });
    expect(await ledger()).toMatchObject({ status: "linked" });
  });
});

test("users made at the same time are all linked, each to its own", async () => {
  const plan = await on.plan();
  await Promise.all(
    plan.users.flatMap(({ declared }) => (declared === null ? [] : [ensureUser(on.systems, declared)])),
  );
  for (const user of legacyUsers) expect(await on.link(user.userId)).toBe(on.live(user.userId)?.id);
  expect(on.written()).toHaveLength(legacyUsers.length);
  expect((await on.plan()).users.filter(({ verdict }) => verdict === "unchanged")).toHaveLength(
    legacyUsers.length,
  );
});

test("isOurs wants external id and mark: either alone is somebody else's", async () => {
  const { clerkUserId } = await ensure();
  const live = await on.systems.clerk.user(clerkUserId);
  if (live === undefined) throw new Error("nobody");
  expect(isOurs(live, userId, on.migration)).toBe(true);
  expect(isOurs({ ...live, externalId: null }, userId, on.migration)).toBe(false);
  expect(isOurs({ ...live, mark: null }, userId, on.migration)).toBe(false);
  expect(isOurs(live, userId, { ...on.migration, migrationId: "m_other" })).toBe(false);
});

test("isOurs reads the marks of earlier versions, which named the stack", async () => {
  const { clerkUserId } = await ensure();
  const live = await on.systems.clerk.user(clerkUserId);
  if (live === undefined) throw new Error("nobody");
  const marked = (stack: string) => ({ ...live, mark: { stack, adopted: false } });
  expect(isOurs(marked(STACK), userId, on.migration)).toBe(true);
  expect(isOurs(marked("clerk-migration/other"), userId, on.migration)).toBe(false);
});

async function deleteRow(): Promise<void> {
  for (const table of ["prompts", "chat_sessions", "users"]) {
    await on.query(`delete from ${table} where user_id = $1`, [userId]);
  }
}

/** Waits for a condition of the far system. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  await expect.poll(isTrue, { interval: 5, timeout: 10_000 }).toBe(true);
}
