import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { MigrationError } from "../../../providers/errors";
import { explainDatabaseError } from "../../../providers/postgres/database";
import { readUser } from "../../../providers/postgres/ledger-users";
import { type PostgresProxy, startPostgresProxy } from "../../postgres-proxy";
import { openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;
const steps = {
  lock: "pg_try_advisory_xact_lock",
  read: 'from "users" u where u."user_id"',
  claim: "insert into clerk_migration.users as ledger",
  link: 'update "users" u set "clerk_user_id" = $2',
  unlink: 'update "users" u set "clerk_user_id" = null',
  rolledBack: "status = 'rolled_back'",
} as const;
type Step = keyof typeof steps;

let on: TestSystems;
let proxy: PostgresProxy;
beforeEach(async () => {
  on = await openTestSystems();
  proxy = await startPostgresProxy(on.database.url);
});
afterEach(async () => {
  await proxy.stop();
  await on.close();
});

const clerkUsers = () =>
  [...on.clerk.store.users.values()].filter((user) => user.externalId === userId).length;
const ledger = () => readUser(on.systems.database, on.migration, userId);

/** What a person sees of it, behind the boundary, is a sentence that says to run again. */
async function expectSentence(work: Promise<unknown>): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => explainDatabaseError(reason),
  );
  if (error === undefined) return;
  expect(error).toBeInstanceOf(MigrationError);
  expect(error).toMatchObject({ remedy: expect.stringMatching(/[Rr]un (the command )?again/) as string });
}

describe.each(["cut-before", "cut-after"] as const)("a connection to Postgres that is %s", (effect) => {
  test.each<Step>(["lock", "read", "claim", "link"])(
    "at the statement that does %s while creating leaves one Clerk user, and one link after the next run",
    async (step) => {
      const inputs = await on.declared(userId);
      await on.restart({ databaseUrl: proxy.url });
      proxy.add({ on: steps[step], effect });

      await expectSentence(ensureUser(on.systems, inputs));
      expect(proxy.pending()).toBe(0);
      expect(clerkUsers()).toBeLessThanOrEqual(1);

      await on.restart();
      await ensureUser(on.systems, await on.declared(userId));
      expect(clerkUsers()).toBe(1);
      expect(await on.link(userId)).toBe(on.live(userId)?.id);
      expect(await ledger()).toMatchObject({ status: "linked", clerkUserId: on.live(userId)?.id });
    },
  );

  test.each<Step>(["lock", "unlink", "rolledBack"])(
    "at the statement that does %s while rolling back leaves nobody behind after the next run",
    async (step) => {
      const outputs = await ensureUser(on.systems, await on.declared(userId));
      await on.restart({ databaseUrl: proxy.url });
      proxy.add({ on: steps[step], effect });

      await expectSentence(deleteUser(on.systems, outputs));
      expect(proxy.pending()).toBe(0);

      await on.restart();
      await deleteUser(on.systems, outputs);
      expect(clerkUsers()).toBe(0);
      expect(await on.link(userId)).toBeNull();
      expect(await ledger()).toMatchObject({ status: "rolled_back" });
    },
  );
});

test("a slow Postgres only takes longer", async () => {
  const inputs = await on.declared(userId);
  await on.restart({ databaseUrl: proxy.url });
  for (const statement of Object.values(steps)) proxy.add({ on: statement, effect: { delayMs: 150 } });

  const outputs = await ensureUser(on.systems, inputs);
  expect(await on.link(userId)).toBe(outputs.clerkUserId);
  await deleteUser(on.systems, outputs);
  expect(clerkUsers()).toBe(0);
  expect(proxy.pending()).toBe(0);
});
