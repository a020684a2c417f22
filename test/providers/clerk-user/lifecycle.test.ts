import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { deleteUser, ensureUser } from "../../../providers/clerk-user/lifecycle";
import { messageOf } from "../../../providers/errors";
import { claimUser, readUser } from "../../../providers/postgres/ledger-users";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { declared, legacyUser, openTestSystems, stackName, type TestSystems } from "../../both-systems";

const user = legacyUser();
let it: TestSystems;

beforeEach(async () => {
  it = await openTestSystems();
});
afterEach(async () => {
  expect(await it.stop()).toEqual([]);
});

const link = async () =>
  (
    await it.query<{ clerk_user_id: string | null }>("select clerk_user_id from users where user_id = $1", [
      user.userId,
    ])
  )[0]?.clerk_user_id;
const status = async () => (await readUser(it.systems.database, user.userId))?.status;
const inClerk = () =>
  [...it.clerk.store.users.values()].filter(({ externalId }) => externalId === user.userId);
const writes = () => it.clerk.store.requests.filter(({ wrote }) => wrote).length;
const owner = () => ({ stack: stackName, clerkInstanceId: it.clerk.instanceId });
const oldPassword = () => signIn(it.clerk.issuer, { identifier: user.email, password: user.password });

describe("create", () => {
  test("makes one Clerk user with the old password, links the row, and does nothing the second time", async () => {
    const before = await snapshotDatabase(it.databaseUrl);
    const inputs = await declared(it, user.userId);

    const outputs = await ensureUser(it.systems, inputs);

    expect(inClerk().map(({ id }) => id)).toEqual([outputs.clerkUserId]);
    expect(await link()).toBe(outputs.clerkUserId);
    expect(outputs).toMatchObject({ condition: "ok", seen: "ok", origin: "created", passwords: "carry" });
    expect((await oldPassword()).status).toBe("complete");
    expect(describeDifference(before, await snapshotDatabase(it.databaseUrl))).toEqual([
      "Table public.users differs in: clerk_user_id.",
    ]);

    const written = writes();
    expect(await ensureUser(it.systems, inputs)).toEqual({
      ...outputs,
      lastSignInAt: expect.any(String) as string,
    });
    expect(writes()).toBe(written);
  });

  test("costs one request, besides asking for the instance", async () => {
    await ensureUser(it.systems, await declared(it, user.userId));
    expect(it.clerk.store.requests.map(({ kind }) => kind)).toEqual(["GET /instance", "POST /users"]);
  });

  test("sends no password with reset", async () => {
    const outputs = await ensureUser(it.systems, await declared(it, user.userId, { passwords: "reset" }));
    expect(outputs.passwords).toBe("reset");
    expect(inClerk()[0]?.password).toBeNull();
  });

  test("falls back to reset, visibly, where Clerk refuses the digest", async () => {
    const body = { errors: [{ code: "form_password_digest_invalid_code", message: "is invalid" }] };
    it.clerk.faults.add({ on: "POST /users", effect: { type: "answer", status: 422, body } });

    const outputs = await ensureUser(it.systems, await declared(it, user.userId));

    expect(outputs.passwords).toBe("reset");
    expect(it.warnings.join()).toContain(`User ${user.userId}: Clerk does not take this password hash`);
  });

  test("refuses an address that Clerk has already, names nobody but the user_id, and leaves a candidate", async () => {
    const other = [...it.clerk.store.users.values()][0];
    const address = other?.emailAddresses[0];
    if (other === undefined || address === undefined) throw new Error("no users");
    it.clerk.store.putUser({ ...other, emailAddresses: [{ ...address, emailAddress: user.email }] });

    const error = await ensureUser(it.systems, await declared(it, user.userId)).catch(messageOf);

    expect(error).toContain(
      `Clerk has a user with the address of user ${user.userId} already (${other.id}).`,
    );
    expect(error).not.toContain(user.email);
    expect(await status()).toBe("refused");
    expect(await link()).toBeNull();
  });

  test("refuses an external id that somebody else's user has", async () => {
    const other = [...it.clerk.store.users.values()][0];
    if (other === undefined) throw new Error("no users");
    it.clerk.store.changeUser(other.id, { externalId: user.userId });

    await expect(ensureUser(it.systems, await declared(it, user.userId))).rejects.toThrow(
      "which this stack did not make",
    );
    expect(it.clerk.store.users.get(other.id)).toEqual({ ...other, externalId: user.userId });
  });

  test("refuses a row that is gone, linked by somebody, or without its digest since the plan was made", async () => {
    const inputs = await declared(it, user.userId);
    await it.query("update users set clerk_user_id = 'user_somebody' where user_id = $1", [user.userId]);
    await expect(ensureUser(it.systems, inputs)).rejects.toThrow(
      "linked to the Clerk user user_somebody by somebody else",
    );
    await it.query("update users set clerk_user_id = null, password_hash = null where user_id = $1", [
      user.userId,
    ]);
    await expect(ensureUser(it.systems, inputs)).rejects.toThrow("has lost the password hash");
    await it.query("delete from prompts where user_id = $1", [user.userId]);
    await it.query("delete from chat_sessions where user_id = $1", [user.userId]);
    await it.query("delete from users where user_id = $1", [user.userId]);
    await expect(ensureUser(it.systems, inputs)).rejects.toThrow("is no longer in the users table");
    expect(inClerk()).toEqual([]);
    expect(await status()).toBe("refused");
  });

  test("deletes the user just made if the row takes another link meanwhile", async () => {
    const inputs = await declared(it, user.userId);
    await it.query(`
      create function elsewhere() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger elsewhere before update on users for each row execute function elsewhere()`);

    await expect(ensureUser(it.systems, inputs)).rejects.toThrow("by somebody else");

    expect(inClerk()).toEqual([]);
    expect(await status()).toBe("refused");
  });

  test("creates with what is true at that moment", async () => {
    const inputs = await declared(it, user.userId);
    await it.query("update users set email = ' New.Address@example.org ', name = 'Ada' where user_id = $1", [
      user.userId,
    ]);

    const outputs = await ensureUser(it.systems, inputs);

    expect(inClerk()[0]?.emailAddresses[0]?.emailAddress).toBe("new.address@example.org");
    expect(outputs).toMatchObject({ email: "new.address@example.org", firstName: "Ada", lastName: "" });
  });
});

describe("lost answers", () => {
  test.each([
    { type: "cut-before" },
    { type: "cut-after" },
    { type: "truncated-json" },
    { type: "empty-body" },
    { type: "answer", status: 500, committed: true },
    { type: "answer", status: 502, contentType: "text/html", body: "<html></html>" },
    { type: "answer", status: 503 },
  ] as const)("$type ends with exactly one Clerk user", async (effect) => {
    it.clerk.faults.add({ on: "POST /users", times: 2, effect });

    const outputs = await ensureUser(it.systems, await declared(it, user.userId));

    expect(inClerk().map(({ id }) => id)).toEqual([outputs.clerkUserId]);
    expect(await link()).toBe(outputs.clerkUserId);
  });

  test("an outcome that stays unknown keeps the user held, and the next try finishes", async () => {
    it.clerk.faults.add({ on: "POST /users", times: 20, effect: { type: "cut-before" } });
    const inputs = await declared(it, user.userId);
    await expect(ensureUser(it.systems, inputs)).rejects.toThrow(
      "Clerk gave no readable answer to POST /users",
    );
    expect(await status()).toBe("creating");

    it.clerk.faults.clear();
    await ensureUser(it.systems, inputs);
    expect(inClerk()).toHaveLength(1);
    expect(await status()).toBe("linked");
  });
});

describe("crashes", () => {
  test("after the ledger was written: creates", async () => {
    await claimUser(it.systems.database, owner(), user.userId, "");
    await ensureUser(it.systems, await declared(it, user.userId));
    expect(inClerk()).toHaveLength(1);
  });

  test("after Clerk made the user: finds and links that one", async () => {
    const inputs = await declared(it, user.userId);
    const made = await ensureUser(it.systems, inputs);
    await it.query("update users set clerk_user_id = null where user_id = $1", [user.userId]);
    await it.query(
      "update clerk_migration.users set status = 'creating', clerk_user_id = null, origin = null",
    );

    expect((await ensureUser(it.systems, inputs)).clerkUserId).toBe(made.clerkUserId);
    expect(inClerk()).toHaveLength(1);
    expect(await link()).toBe(made.clerkUserId);
  });

  test("in the middle of a rollback: the next up has the user again, once, also with its deletion done", async () => {
    for (const deleted of [false, true]) {
      const made = await ensureUser(it.systems, await declared(it, user.userId));
      await it.query("update users set clerk_user_id = null where user_id = $1", [user.userId]);
      await it.query("update clerk_migration.users set status = 'unlinking'");
      if (deleted) it.clerk.store.removeUser(made.clerkUserId);

      const again = await ensureUser(it.systems, await declared(it, user.userId));

      expect(again.clerkUserId === made.clerkUserId).toBe(!deleted);
      expect(inClerk().map(({ id }) => id)).toEqual([again.clerkUserId]);
      expect(await link()).toBe(again.clerkUserId);
    }
  });

  test("a ledger that has lost its row takes the user up again by link, external id and mark", async () => {
    const inputs = await declared(it, user.userId);
    const made = await ensureUser(it.systems, inputs);
    await it.query("delete from clerk_migration.users");
    expect((await ensureUser(it.systems, inputs)).clerkUserId).toBe(made.clerkUserId);
    expect(inClerk()).toHaveLength(1);
  });
});

describe("update", () => {
  test("carries a changed address, name and password over until the first sign-in, and nothing after it", async () => {
    await ensureUser(it.systems, await declared(it, user.userId));
    const other = legacyUser(1);
    const change = async (email: string, name: string, digest: string | null) =>
      it.query("update users set email = $2, name = $3, password_hash = $4 where user_id = $1", [
        user.userId,
        email,
        name,
        digest,
      ]);
    await change("changed@example.com", "Grace Hopper", other.passwordDigest);

    const outputs = await ensureUser(it.systems, await declared(it, user.userId));

    expect(inClerk()[0]).toMatchObject({ firstName: "Grace", lastName: "Hopper" });
    expect(inClerk()[0]?.emailAddresses.map(({ emailAddress }) => emailAddress)).toEqual([
      "changed@example.com",
    ]);
    expect(outputs.condition).toBe("ok");
    const arrived = await signIn(it.clerk.issuer, {
      identifier: "changed@example.com",
      password: other.password,
    });
    expect(arrived.status).toBe("complete");

    const clerkUser = JSON.stringify(inClerk());
    await change("again@example.com", "Somebody Else", user.passwordDigest);
    const after = await ensureUser(it.systems, await declared(it, user.userId));
    expect(JSON.stringify(inClerk())).toBe(clerkUser);
    expect(after.condition).toBe("email-changed");
  });

  test("never creates anew whom somebody has deleted in Clerk", async () => {
    const made = await ensureUser(it.systems, await declared(it, user.userId));
    it.clerk.store.removeUser(made.clerkUserId);

    await expect(ensureUser(it.systems, await declared(it, user.userId))).rejects.toThrow(
      "was deleted in Clerk",
    );
    expect(inClerk()).toEqual([]);
    expect(await link()).toBe(made.clerkUserId);
  });
});

describe("delete", () => {
  test("unlinks and deletes what we made, restores the row to the byte, and is a success the second time", async () => {
    const before = await snapshotDatabase(it.databaseUrl);
    const outputs = await ensureUser(it.systems, await declared(it, user.userId));

    await deleteUser(it.systems, outputs);
    await deleteUser(it.systems, outputs);

    expect(inClerk()).toEqual([]);
    expect(describeDifference(before, await snapshotDatabase(it.databaseUrl))).toEqual([]);
    expect(await status()).toBe("rolled_back");
  });

  test("refuses a user who has signed in since, unless forced: unlinked, or deleted", async () => {
    const outputs = await ensureUser(it.systems, await declared(it, user.userId));
    await oldPassword();

    await expect(deleteUser(it.systems, outputs)).rejects.toThrow(
      `User ${user.userId} has signed in with Clerk`,
    );
    expect(await link()).toBe(outputs.clerkUserId);
    await it.systems.close();

    const keeping = it.reopen({ ROLLBACK_SIGNED_IN: "unlink" });
    await deleteUser(keeping, outputs);
    expect(it.clerk.store.users.get(outputs.clerkUserId)?.privateMetadata).toEqual({});
    expect(await link()).toBeNull();
    await keeping.close();
  });

  test("refuses a user who has set a new password since", async () => {
    const outputs = await ensureUser(it.systems, await declared(it, user.userId));
    const password = it.clerk.store.users.get(outputs.clerkUserId)?.password;
    if (password == null) throw new Error("no password");
    it.clerk.store.changeUser(outputs.clerkUserId, {
      password: { ...password, updatedAt: password.updatedAt + 1 },
    });
    await expect(deleteUser(it.systems, outputs)).rejects.toThrow("has set a new password with Clerk");
  });

  test("leaves a Clerk user alone that no longer carries our mark, and a row that has another link", async () => {
    const outputs = await ensureUser(it.systems, await declared(it, user.userId));
    it.clerk.store.changeUser(outputs.clerkUserId, { privateMetadata: {} });
    await it.query("update users set clerk_user_id = 'user_other' where user_id = $1", [user.userId]);

    await deleteUser(it.systems, outputs);

    expect(inClerk()).toHaveLength(1);
    expect(await link()).toBe("user_other");
    expect(it.warnings.join("\n")).toContain("no longer carries our mark");
    expect(it.warnings.join("\n")).toContain("no longer ours");
  });

  test("refuses another Clerk instance", async () => {
    const outputs = await ensureUser(it.systems, await declared(it, user.userId));
    await it.query("update clerk_migration.users set clerk_instance_id = 'ins_other'");
    await expect(deleteUser(it.systems, outputs)).rejects.toThrow("belongs to the Clerk instance ins_other");
    expect(inClerk()).toHaveLength(1);
  });

  test.each([{ type: "cut-after" }, { type: "truncated-json" }, { type: "answer", status: 503 }] as const)(
    "$type while deleting still ends with nobody",
    async (effect) => {
      const outputs = await ensureUser(it.systems, await declared(it, user.userId));
      it.clerk.faults.add({ on: "DELETE /users/{user_id}", effect });
      await deleteUser(it.systems, outputs);
      expect(inClerk()).toEqual([]);
      expect(await status()).toBe("rolled_back");
    },
  );
});
