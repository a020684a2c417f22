import { randomBytes } from "node:crypto";

import { afterAll, beforeAll, expect, test } from "vitest";

import { signIn } from "../../sandbox/clerk/sign-in";
import { connected } from "../../sandbox/postgres";
import { sampleUsers } from "../../sandbox/sample-users";
import { factsOf } from "../facts";
import { arrivedAreRetired, asBefore, givenBy, holdsAlways } from "../invariants";
import { type Stack, startStack } from "./stack";

const legacy = sampleUsers.filter((user) => user.clerkUserId === null);
const arrived = legacy.slice(0, 5);
const KEY = randomBytes(32).toString("base64");
const withKey = { DIGEST_SEAL_KEY: KEY };
const forced = { ...withKey, ROLLBACK_SIGNED_IN: "delete" };

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  expect(await stack.stop()).toEqual([]);
});

const query = <T extends object>(text: string) =>
  connected(stack.databaseUrl, async (client) => (await client.query<T>(text)).rows);
const retired = async () =>
  (await query("select 1 from users where clerk_user_id is not null and password_hash is null")).length;
const arrive = () =>
  Promise.all(
    arrived.map(({ email, password }) => signIn(stack.clerk.issuer, { identifier: email, password })),
  );

test("digests go when their users have arrived, come back with a forced rollback, and never once they are purged", async () => {
  const given = givenBy(await factsOf(stack));
  const alreadyWithout = await retired();
  await stack.configure({ notify: "none", retirePasswords: "arrived", retireAfterDays: "0" });

  const keyless = await stack.pulumi(["preview"]);
  expect(keyless.exitCode).not.toBe(0);
  expect(keyless.output).toContain("DIGEST_SEAL_KEY is not set");

  const first = await stack.up(withKey);
  expect(first.exitCode, first.output).toBe(0);
  expect(await retired()).toBe(alreadyWithout);
  await arrive();
  const preview = await stack.pulumi(["preview"], withKey);
  expect(preview.output).toContain(
    "Digests: 5 to be sealed and taken out of the table, 0 are out already; the others stay: 31 have not signed in with Clerk.",
  );

  const second = await stack.up(withKey);
  expect(second.exitCode, second.output).toBe(0);
  expect(await retired()).toBe(alreadyWithout + 5);
  const now = await factsOf(stack);
  expect([...holdsAlways(given, now), ...arrivedAreRetired(given, now, new Set(now.rows.keys()))]).toEqual(
    [],
  );
  expect((await stack.outputs()).funnel).toMatchObject({ linked: 36, signedIn: 5, digestsRetired: 5 });
  const again = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"], withKey);
  expect(again.exitCode, again.output).toBe(0);

  const refused = await stack.destroy(withKey);
  expect(refused.exitCode).not.toBe(0);
  expect(await retired()).toBe(alreadyWithout + 5);

  const destroyed = await stack.destroy(forced);
  expect(destroyed.exitCode, destroyed.output).toBe(0);
  expect(asBefore(given, await factsOf(stack))).toEqual([]);

  await stack.up(withKey);
  await arrive();
  const anew = await stack.up(withKey);
  expect(anew.exitCode, anew.output).toBe(0);
  expect(await retired()).toBe(alreadyWithout + 5);
  await query("update clerk_migration.retired_passwords set status = 'purged', sealed = null");

  const purged = await stack.destroy(forced);
  expect(purged.exitCode).not.toBe(0);
  expect(purged.output).toContain("the legacy digest has been purged, so there is no login to roll back to.");
  const links = await query("select 1 from users where clerk_user_id is not null");
  expect(links).toHaveLength(8 + 5);

  const state = await stack.exportState();
  const ledger = await query<{ row: string }>("select row::text from clerk_migration.events row");
  const everything = [keyless, first, preview, second, again, refused, destroyed, anew, purged]
    .map(({ output }) => output)
    .join("");
  for (const secret of [KEY, ...legacy.map(({ passwordDigest }) => passwordDigest ?? "")])
    expect(everything + state + JSON.stringify(ledger)).not.toContain(secret);
}, 300_000);
