import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ClerkUserOutputs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { readUser } from "../../../providers/postgres/ledger-users";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { loadSample } from "../../../sandbox/sample-users";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { testDatabase } from "../../database";
import { MARCUS, openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;

let on: TestSystems;
let outputs: ClerkUserOutputs;
beforeEach(async () => {
  on = await openTestSystems();
  outputs = await ensureUser(on.systems, await on.declared(userId));
});
afterEach(() => on.close());

const ledger = () => readUser(on.systems.database, on.migration, userId);
const sarah = () => on.clerk.store.users.get(outputs.clerkUserId);
const arrive = () => signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
const changeLedger = (set: string) =>
  on.query(`update clerk_migration.users set ${set} where user_id = $1`, [userId]);

/** What a repetition must not do: write anything, anywhere. */
async function expectNothingMoreToDo(): Promise<void> {
  const [rows, writes, before] = [await snapshotDatabase(on.database.url), on.written(), await ledger()];
  await deleteUser(on.systems, outputs);
  expect(on.written()).toEqual(writes);
  expect(describeDifference(rows, await snapshotDatabase(on.database.url))).toEqual([]);
  expect(await ledger()).toEqual(before);
}

test("unlinks and deletes what we made, and restores the table to the byte", async () => {
  const made = await snapshotDatabase(on.database.url);
  const before = await snapshotOfSample();

  await deleteUser(on.systems, outputs);

  expect(sarah()).toBeUndefined();
  expect(await ledger()).toMatchObject({ status: "rolled_back", clerkUserId: null, attempt: 2 });
  const after = await snapshotDatabase(on.database.url);
  expect(describeDifference(before, after)).toEqual([]);
  expect(describeDifference(made, after)).toEqual(["Table public.users differs in: clerk_user_id."]);
  await expectNothingMoreToDo();
});

test.each([
  { type: "cut-before" },
  { type: "cut-after" },
  { type: "truncated-json" },
  { type: "answer", status: 503, committed: true },
] as const)("$type while deleting still ends with nobody", async (effect) => {
  on.clerk.faults.add({ on: "DELETE /users/{user_id}", effect });
  await deleteUser(on.systems, outputs);
  expect(sarah()).toBeUndefined();
  expect(await ledger()).toMatchObject({ status: "rolled_back" });
});

test("leaves a Clerk user alone that no longer carries our mark, with a warning", async () => {
  on.clerk.store.changeUser(outputs.clerkUserId, { privateMetadata: {} });
  await deleteUser(on.systems, outputs);
  expect(on.written()).toEqual(["POST /users"]);
  expect(sarah()).toBeDefined();
  expect(on.warnings).toEqual([
    `User ${userId}: the Clerk user ${outputs.clerkUserId} no longer carries our mark, so it is left alone.`,
  ]);
  await expectNothingMoreToDo();
});

describe("a user who has made the account his own", () => {
  test("by signing in is refused, and nothing is written", async () => {
    await arrive();
    await expect(deleteUser(on.systems, outputs)).rejects.toMatchObject({ code: "signed-in" });
    expect(on.written()).toEqual(["POST /users"]);
    expect(await on.link(userId)).toBe(outputs.clerkUserId);
    expect(await ledger()).toMatchObject({ status: "linked" });
  });

  test("by a first password, where none was carried over, is refused", async () => {
    await deleteUser(on.systems, outputs);
    outputs = await ensureUser(on.systems, await on.declared(userId, { passwords: "reset" }));
    on.clerk.store.changeUser(outputs.clerkUserId, {
      password: { digest: "$2b$10$own", hasher: "bcrypt", updatedAt: Date.now() },
    });
    await expect(deleteUser(on.systems, outputs)).rejects.toThrow("has set a new password");
  });

  test("by a new password is still refused after an update that had something else to do", async () => {
    const own = { digest: "$2b$10$own", hasher: "bcrypt", updatedAt: Date.now() + 60_000 };
    on.clerk.store.changeUser(outputs.clerkUserId, { password: own });
    await on.query("update users set name = 'Sara' where user_id = $1", [userId]);
    outputs = await ensureUser(on.systems, await on.declared(userId));
    await expect(deleteUser(on.systems, outputs)).rejects.toThrow("has set a new password");
    expect(sarah()?.password).toEqual(own);
  });

  test.each([
    [{ rollbackSignedIn: "delete" }, false],
    [{ rollbackSignedIn: "unlink" }, true],
    [{ rollbackSignedIn: "delete", rollback: "unlink" }, true],
  ] as const)("is rolled back when forced with %j", async (settings, isKept) => {
    await arrive();
    await on.restart(settings);

    await deleteUser(on.systems, outputs);

    expect(sarah() !== undefined).toBe(isKept);
    expect(sarah()?.privateMetadata ?? {}).toEqual({});
    expect(await on.link(userId)).toBeNull();
    expect(await ledger()).toMatchObject({ status: "rolled_back", clerkUserId: null });
    await expectNothingMoreToDo();
  });
});

test("a user created anew after a rollback that was cut off is rolled back like any other", async () => {
  await on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
  await changeLedger("status = 'unlinking', attempt = 2");
  on.clerk.store.removeUser(outputs.clerkUserId);
  outputs = await ensureUser(on.systems, await on.declared(userId));

  await deleteUser(on.systems, outputs);

  expect(sarah()).toBeUndefined();
  expect(await ledger()).toMatchObject({ status: "rolled_back" });
});

test("ROLLBACK=unlink keeps the account with everything in it but our mark", async () => {
  await on.restart({ rollback: "unlink" });
  const before = sarah();

  await deleteUser(on.systems, outputs);

  expect(sarah()).toEqual({ ...before, privateMetadata: {}, updatedAt: sarah()?.updatedAt });
  expect(await on.link(userId)).toBeNull();
  await expectNothingMoreToDo();
});

describe("is a success", () => {
  test("for a user who is gone from Clerk already", async () => {
    on.clerk.store.removeUser(outputs.clerkUserId);
    await deleteUser(on.systems, outputs);
    expect(on.written()).toEqual(["POST /users"]);
    expect(await on.link(userId)).toBeNull();
    expect(await ledger()).toMatchObject({ status: "rolled_back" });
    await expectNothingMoreToDo();
  });

  test("for a row that is gone: the Clerk user goes, too", async () => {
    for (const table of ["prompts", "chat_sessions", "users"])
      await on.query(`delete from ${table} where user_id = $1`, [userId]);
    await deleteUser(on.systems, outputs);
    expect(sarah()).toBeUndefined();
    await expectNothingMoreToDo();
  });

  test.each([
    ["unlinked, and alive in Clerk", false],
    ["unlinked and deleted", true],
  ])("after one that was cut off: %s", async (_story, isDeleted) => {
    await on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
    await changeLedger("status = 'unlinking', attempt = 2");
    if (isDeleted) on.clerk.store.removeUser(outputs.clerkUserId);

    await deleteUser(on.systems, outputs);

    expect(sarah()).toBeUndefined();
    expect(await ledger()).toMatchObject({ status: "rolled_back", attempt: 2 });
    await expectNothingMoreToDo();
  });

  test.each([
    ["null", "the state knows the Clerk user of an earlier life"],
    ["'user_earlier'", "the ledger, too"],
  ])("for one who was only being created, found by external id and mark (%s: %s)", async (recorded) => {
    await on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
    await changeLedger(`status = 'creating', clerk_user_id = ${recorded}, origin = null, passwords = null`);
    await deleteUser(on.systems, { ...outputs, clerkUserId: "user_earlier" });
    expect(sarah()).toBeUndefined();
    expect(await ledger()).toMatchObject({ status: "rolled_back" });
  });

  test("with a ledger that has lost the user: the state knows the Clerk user", async () => {
    await on.query("delete from clerk_migration.users");
    await deleteUser(on.systems, outputs);
    expect(sarah()).toBeUndefined();
    expect(await on.link(userId)).toBeNull();
  });
});

test("leaves a link to somebody else as it is, with a warning, and deletes ours", async () => {
  await on.query("update users set clerk_user_id = 'user_other' where user_id = $1", [userId]);
  await deleteUser(on.systems, outputs);
  expect(await on.link(userId)).toBe("user_other");
  expect(sarah()).toBeUndefined();
  expect(on.warnings).toEqual([
    `User ${userId}: the row's clerk_user_id is no longer ours, so it is left as it is.`,
  ]);
});

test("never touches the users of another Clerk instance", async () => {
  const elsewhere = { ...outputs, clerkInstanceId: "ins_other" };
  await expect(deleteUser(on.systems, elsewhere)).rejects.toMatchObject({ code: "other-instance" });
  expect(sarah()).toBeDefined();
  expect(await on.link(userId)).toBe(outputs.clerkUserId);
});

test("never touches the users of another stack", async () => {
  await deleteUser(on.systems, { ...outputs, stack: "clerk-migration/other" });
  expect(on.written()).toEqual(["POST /users"]);
  expect(await ledger()).toMatchObject({ status: "linked" });
});

test("raises the attempt, so that a state which still lists the user creates it again, once", async () => {
  await deleteUser(on.systems, outputs);
  const declared = await on.declared(userId);
  expect(declared.attempt).toBe(2);
  await ensureUser(on.systems, declared);
  expect(on.live(userId)?.id).toBe(await on.link(userId));
  expect(await on.declared(userId)).toMatchObject({ attempt: 2 });
});

test("a link to a user whom somebody else has just linked as well is explained without the row's values", async () => {
  const declared = await on.declared(MARCUS.userId);
  const other = await ensureUser(on.systems, declared);
  await on.query("update users set clerk_user_id = null where user_id = $1", [MARCUS.userId]);
  await on.query("update users set clerk_user_id = $2 where user_id = $1", [userId, other.clerkUserId]);
  await expect(ensureUser(on.systems, { ...declared, attempt: 2 })).rejects.toMatchObject({
    code: "link-unique",
  });
});

/** The sample as it was before anybody was migrated, in a database of its own. */
async function snapshotOfSample() {
  const untouched = await testDatabase();
  try {
    await loadSample(untouched.url);
    return await snapshotDatabase(untouched.url);
  } finally {
    await untouched.drop();
  }
}
