import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { messageOf } from "../../../providers/errors";
import { ensureMigration, sweep } from "../../../providers/migration/lifecycle";
import { hasLedger } from "../../../providers/postgres/ledger-steps";
import { readUser } from "../../../providers/postgres/ledger-users";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { legacyUsers, MARCUS, openTestSystems, SARAH, type TestSystems } from "../../systems";

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
});
afterEach(() => on.close());

const ensure = async (userId: string) => ensureUser(on.systems, await on.declared(userId));

test("makes the ledger, and the second time nothing", async () => {
  await on.query("drop schema clerk_migration cascade");
  await on.restart();
  await ensureMigration(on.systems, on.migration);
  expect(await hasLedger(on.systems.database)).toBe(true);
  await ensure(SARAH.userId);

  await ensureMigration(on.systems, on.migration);
  expect(await readUser(on.systems.database, on.migration, SARAH.userId)).toMatchObject({ status: "linked" });
});

test("refuses a key of another instance than the one it is pinned to, and makes nothing", async () => {
  await on.query("drop schema clerk_migration cascade");
  await expect(
    ensureMigration(on.systems, { ...on.migration, clerkInstanceId: "ins_other" }),
  ).rejects.toMatchObject({ code: "other-instance" });
  expect(await hasLedger(on.systems.database)).toBe(false);
});

test("its delete without a ledger has nothing to do", async () => {
  await on.query("drop schema clerk_migration cascade");
  await sweep(on.systems, on.migration);
  expect(on.written()).toEqual([]);
});

test("its delete rolls back everybody the state has forgotten, and restores the table to the byte", async () => {
  const before = await snapshotDatabase(on.database.url);
  for (const { userId } of legacyUsers.slice(0, 6)) await ensure(userId);
  // Cut off at different steps.
  await on.query("update users set clerk_user_id = null where user_id = any($1)", [
    [SARAH.userId, MARCUS.userId],
  ]);
  await on.query("update clerk_migration.users set status = 'unlinking' where user_id = $1", [SARAH.userId]);
  await on.query(
    "update clerk_migration.users set status = 'creating', clerk_user_id = null, origin = null where user_id = $1",
    [MARCUS.userId],
  );

  await sweep(on.systems, on.migration);

  expect(legacyUsers.filter(({ userId }) => on.live(userId) !== undefined)).toEqual([]);
  expect(describeDifference(before, await snapshotDatabase(on.database.url))).toEqual([]);
  const writes = on.written();
  await sweep(on.systems, on.migration);
  expect(on.written()).toEqual(writes);
});

test("its delete names each user it could not roll back, by user_id, and goes on with the others", async () => {
  const [third] = legacyUsers.slice(2);
  if (third === undefined) throw new Error("The sample has fewer legacy users.");
  for (const { userId } of [SARAH, MARCUS, third]) await ensure(userId);
  await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
  const body = { errors: [{ code: "user_managed_by_scim", message: "managed" }] };
  on.clerk.faults.add({ on: "DELETE /users/{user_id}", effect: { type: "answer", status: 403, body } });

  const message = await sweep(on.systems, on.migration).catch(messageOf);

  expect(message).toContain("2 of the users that the ledger still holds were not rolled back:");
  expect(message).toContain(`User ${SARAH.userId} has signed in`);
  expect(message).toMatch(/User [0-9a-f-]{36}: The user is managed by SCIM and cannot be deleted here\./);
  expect(message).not.toContain("@");
  expect([MARCUS, third].filter(({ userId }) => on.live(userId) === undefined)).toHaveLength(1);
});

test("its delete leaves the users of other stacks alone", async () => {
  await ensure(SARAH.userId);
  await on.query("update clerk_migration.users set stack = 'clerk-migration/other'");
  await sweep(on.systems, on.migration);
  expect(on.live(SARAH.userId)).toBeDefined();
  expect(on.written()).toEqual(["POST /users"]);
});
