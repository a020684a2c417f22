import { afterAll, beforeAll, expect, test } from "vitest";

import { describePlan } from "../../providers/plan-text";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { openTestSystems, type TestSystems } from "../systems";

let on: TestSystems;
beforeAll(async () => {
  on = await openTestSystems();
});
afterAll(() => on.close());

test("a condition chooses among new users, and is quoted in the dry run without its literals", async () => {
  const where = "u.email like '%@example.net' and u.clerk_user_id is null";
  const plan = await on.plan({ where });
  const rows = await on.query(`select 1 from users u where ${where}`);
  expect(rows.length).toBeGreaterThan(0);
  expect(plan.users.filter(({ verdict }) => verdict === "create")).toHaveLength(rows.length);
  expect(describePlan(plan, on.settings({ where }))).toContain(
    "This wave: where u.email like ? and u.clerk_user_id is null.",
  );
});

test.each([
  ["u.nonsense > 1", /does not take the condition `u.nonsense > \?`: column u.nonsense does not exist/],
  ["u.email like", /does not take the condition/],
  ["true); delete from users; --", /does not take the condition/],
  ["true); commit; delete from users where (true", /does not take the condition/],
  [
    "(with gone as (delete from users returning 1) select true from gone)",
    /does not take the condition|read-only/,
  ],
  ["exists (select set_config('transaction_read_only', 'off', false))", /./],
])("%s is refused with a sentence, or harmless, and writes nothing", async (where, sentence) => {
  const before = await snapshotDatabase(on.database.url);
  const outcome = await on.plan({ where }).then(
    () => "harmless",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  expect(outcome).toMatch(sentence);
  expect(describeDifference(before, await snapshotDatabase(on.database.url))).toEqual([]);
});
