import { afterEach, beforeEach, expect, test } from "vitest";

import type { ClerkUserOutputs } from "../../../providers/clerk-user/inputs";
import { differs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { readUserState } from "../../../providers/clerk-user/watch";
import type { Exchange } from "../../../sandbox/clerk/server";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { snapshotDatabase } from "../../../sandbox/snapshot";
import { contractProblems } from "../../clerk-contract";
import { legacyUsers, MARCUS, openTestSystems, SARAH, type TestSystems } from "../../systems";

const user = SARAH;
const exchanges: Exchange[] = [];
let it: TestSystems;
let outputs: ClerkUserOutputs;

beforeEach(async () => {
  it = await openTestSystems({ onExchange: (exchange) => exchanges.push(exchange) });
  outputs = await ensureUser(it.systems, await it.declared(user.userId));
});
afterEach(async () => {
  await it.close();
  expect(await contractProblems(exchanges.splice(0))).toEqual([]);
});

test.each<[string, (it: TestSystems) => unknown]>([
  [
    "gone",
    ({ clerk }) => {
      clerk.store.removeUser(outputs.clerkUserId);
    },
  ],
  ["banned", ({ clerk }) => clerk.store.changeUser(outputs.clerkUserId, { banned: true })],
  ["locked", ({ clerk }) => clerk.store.changeUser(outputs.clerkUserId, { locked: true })],
  ["not-ours", ({ clerk }) => clerk.store.changeUser(outputs.clerkUserId, { privateMetadata: {} })],
  ["not-ours", ({ clerk }) => clerk.store.changeUser(outputs.clerkUserId, { externalId: "other" })],
  [
    "row-gone",
    async (on) => {
      await on.query("delete from prompts");
      await on.query("delete from chat_sessions");
      await on.query("delete from users where user_id = $1", [user.userId]);
    },
  ],
  [
    "doubled",
    async (on) => {
      await on.query("alter table users drop constraint users_clerk_user_id_key");
      await on.query("update users set clerk_user_id = $1 where user_id = $2", [
        outputs.clerkUserId,
        MARCUS.userId,
      ]);
    },
  ],
  [
    "email-changed",
    ({ clerk }) => {
      const [address] = clerk.store.users.get(outputs.clerkUserId)?.emailAddresses ?? [];
      if (address === undefined) throw new Error("The user has no address.");
      clerk.store.changeUser(outputs.clerkUserId, {
        emailAddresses: [{ ...address, emailAddress: "other@example.com" }],
      });
    },
  ],
  [
    "email-changed",
    (on) => on.query("update users set email = 'other@example.com' where user_id = $1", [user.userId]),
  ],
  ["unlinked", (on) => on.query("update users set clerk_user_id = null where user_id = $1", [user.userId])],
  [
    "relinked",
    (on) => on.query("update users set clerk_user_id = 'user_x' where user_id = $1", [user.userId]),
  ],
])("sees that a user is %s, reports it as drift, and writes nothing", async (condition, change) => {
  await change(it);
  const before = [
    JSON.stringify([...it.clerk.store.users.values()]),
    await snapshotDatabase(it.database.url),
  ];

  const read = await readUserState(it.systems, outputs);

  expect(read.condition).toBe(condition);
  expect(differs(read, outputs)).toBe(true);
  expect(it.warnings).toHaveLength(1);
  expect(it.warnings[0]).toMatch(new RegExp(`^User ${user.userId} \\(${condition}\\): .+\\. [A-Z].+\\.$`));
  expect(it.warnings.join()).not.toContain(user.email);
  // Once it is acknowledged it is no news.
  await readUserState(it.systems, { ...outputs, condition: read.condition, seen: read.condition });
  expect(it.warnings).toHaveLength(1);
  expect([
    JSON.stringify([...it.clerk.store.users.values()]),
    await snapshotDatabase(it.database.url),
  ]).toEqual(before);
});

test("stores a sign-in silently", async () => {
  await signIn(it.clerk.issuer, { identifier: user.email, password: user.password });
  const read = await readUserState(it.systems, outputs);
  expect(read.lastSignInAt).not.toBe("");
  expect(differs(read, outputs)).toBe(false);
});

test("asks Clerk once for up to 100 users", async () => {
  const others = [];
  for (const { userId } of legacyUsers.slice(1))
    others.push(await ensureUser(it.systems, await it.declared(userId)));
  const before = it.clerk.store.requests.length;

  await Promise.all([outputs, ...others].map((one) => readUserState(it.systems, one)));

  expect(it.clerk.store.requests.length - before).toBe(1);
});

test("refuses to judge users with the key of another instance", async () => {
  await expect(readUserState(it.systems, { ...outputs, clerkInstanceId: "ins_other" })).rejects.toThrow(
    `User ${user.userId} belongs to the Clerk instance ins_other`,
  );
});
