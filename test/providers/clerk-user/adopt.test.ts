import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ClerkUserOutputs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { readUserState } from "../../../providers/clerk-user/watch";
import { readUser } from "../../../providers/postgres/ledger-users";
import { clerkUser } from "../../../sandbox/clerk/new-user";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { MIGRATION_ID, openTestSystems, PROJECT, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;
const ADOPT = { existing: "adopt" };
const MARK = { clerk_migration: { migration: MIGRATION_ID, adopted: true, externalIdSet: true } };

/** Sarah has signed up at Clerk herself, with another name and password than in the table. */
const before = {
  ...clerkUser({ id: "user_sarah", email: SARAH.email }),
  firstName: "Sally",
  password: { digest: "$2b$10$own", hasher: "bcrypt", updatedAt: 1 },
  privateMetadata: { theirs: true },
  lastSignInAt: 1_700_000_000_000,
};

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
  on.clerk.store.putUser(before);
});
afterEach(() => on.close());

const live = () => on.clerk.store.users.get("user_sarah");
const ledger = () => readUser(on.systems.database, on.migration, userId);
const adopt = async (): Promise<ClerkUserOutputs> => ensureUser(on.systems, await on.declared(userId, ADOPT));
const verdict = async (changes = ADOPT) =>
  (await on.plan(changes)).users.find((user) => user.userId === userId)?.code;

test("takes the account over with external id and mark, and nothing else of it", async () => {
  const outputs = await adopt();

  expect(live()).toEqual({
    ...before,
    externalId: userId,
    privateMetadata: { theirs: true, ...MARK },
    updatedAt: live()?.updatedAt,
  });
  expect(outputs).toMatchObject({ clerkUserId: "user_sarah", origin: "adopted", condition: "ok" });
  expect(await on.link(userId)).toBe("user_sarah");
  expect(await ledger()).toMatchObject({ status: "linked", origin: "adopted", isExternalIdSet: true });
  expect(on.written()).toEqual(["PATCH /users/{user_id}/metadata", "PATCH /users/{user_id}"]);
  expect(await verdict()).toBe("held");
});

test("never puts the legacy password, a name or an address on the account, whatever changes later", async () => {
  await adopt();
  const adopted = live();
  await on.query("update users set name = 'Sara', email = 'sara@example.com' where user_id = $1", [userId]);
  expect(await verdict()).toBe("clerk-is-truth");
  await adopt();
  expect(live()).toEqual(adopted);
  expect((await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password })).status).toBe(
    "refused",
  );
});

test("is given back by a rollback as it was, without force, and never deleted", async () => {
  const outputs = await adopt();
  await deleteUser(on.systems, outputs);
  expect(live()).toEqual({ ...before, updatedAt: live()?.updatedAt });
  expect(await on.link(userId)).toBeNull();
  expect(await ledger()).toMatchObject({ status: "rolled_back", isExternalIdSet: false });

  const writes = on.written();
  await deleteUser(on.systems, outputs);
  expect(on.written()).toEqual(writes);
});

test("keeps an external id that it had already, and is not deleted where the ledger is lost", async () => {
  on.clerk.store.putUser({ ...before, externalId: userId });
  const outputs = await adopt();
  expect(on.written()).toEqual(["PATCH /users/{user_id}/metadata"]);
  await on.query("delete from clerk_migration.users");
  await deleteUser(on.systems, outputs);
  expect(live()).toEqual({ ...before, externalId: userId, updatedAt: live()?.updatedAt });
});

describe("a run that was cut off", () => {
  test.each([
    ["PATCH /users/{user_id}", false],
    ["PATCH /users/{user_id}", true],
    ["PATCH /users/{user_id}/metadata", false],
    ["PATCH /users/{user_id}/metadata", true],
  ] as const)("at %s (carried out: %s) is taken up by the next", async (kind, committed) => {
    on.clerk.faults.add({ on: kind, effect: { type: "answer", status: 403, committed } });
    await expect(adopt()).rejects.toThrow(userId);
    expect(await ledger()).toMatchObject({ status: "creating", origin: "adopted" });
    on.clerk.faults.clear();
    await on.restart();
    expect(await verdict({ existing: "refuse" })).toBe("cut-off-adoption");

    await ensureUser(on.systems, await on.declared(userId));

    expect(live()).toMatchObject({ externalId: userId, privateMetadata: { theirs: true, ...MARK } });
    expect(await ledger()).toMatchObject({ status: "linked", origin: "adopted", isExternalIdSet: true });
  });

  test("is rolled back to what was there", async () => {
    on.clerk.faults.add({
      on: "PATCH /users/{user_id}/metadata",
      effect: { type: "answer", status: 403, committed: true },
    });
    const inputs = await on.declared(userId, ADOPT);
    await expect(ensureUser(on.systems, inputs)).rejects.toThrow(userId);
    on.clerk.faults.clear();
    await on.restart();
    const state = { clerkUserId: "", clerkInstanceId: "", origin: "created", lastSignInAt: "" } as const;
    await deleteUser(on.systems, { ...inputs, ...state, condition: "ok", seen: "ok" });
    expect(live()).toEqual({ ...before, updatedAt: live()?.updatedAt });
  });
});

describe("is refused", () => {
  test("by default, and named with what could be decided", async () => {
    expect(await verdict({ existing: "refuse" })).toBe("email-taken");
  });

  test.each([
    ["an address that is not verified", { emailAddresses: [{ ...address(), status: "reserved" as const }] }],
    ["somebody else's external id", { externalId: "another" }],
    [
      "another stack's mark",
      { privateMetadata: { clerk_migration: { project: PROJECT, stack: "other/s" } } },
    ],
  ])("for %s, by the plan and by the run", async (_, changes) => {
    const inputs = await on.declared(userId, ADOPT);
    on.clerk.store.putUser({ ...before, ...changes });
    expect(await verdict()).toBe("not-adoptable");
    await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "not-adoptable" });
    expect(on.written()).toEqual([]);
    expect(await ledger()).toMatchObject({ status: "refused" });
  });
});

test("is known for an adopted one by its mark, where the ledger has forgotten it", async () => {
  await adopt();
  await on.query("delete from clerk_migration.users");
  await on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
  expect(await verdict()).toBe("made-already");

  const again = await adopt();

  expect(again).toMatchObject({ clerkUserId: "user_sarah", origin: "adopted" });
  await deleteUser(on.systems, again);
  expect(live()).toBeDefined();
});

test("who is gone by then is refused", async () => {
  const inputs = await on.declared(userId, ADOPT);
  on.clerk.store.removeUser("user_sarah");
  await expect(ensureUser(on.systems, inputs)).rejects.toMatchObject({ code: "adopt-gone" });
});

test("shows in a refresh like any other user", async () => {
  const outputs = await adopt();
  on.clerk.store.changeUser("user_sarah", { banned: true });
  expect(await readUserState(on.systems, outputs)).toMatchObject({ condition: "banned", seen: "ok" });
});

function address() {
  const [own] = before.emailAddresses;
  if (own === undefined) throw new Error("she has no address");
  return own;
}
