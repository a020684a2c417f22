import { afterAll, beforeAll, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { describePlan } from "../../providers/plan-text";
import { addDirtyClerkUsers, dirtyTable, loadDirty } from "../../sandbox/dirty-users";
import { openTestSystems, type TestSystems } from "../systems";

const USERS = 400;
const CHOSEN = { ...dirtyTable, allowUndeliverable: "false", bypassDeviceTrust: "true" };

let on: TestSystems;
beforeAll(async () => {
  on = await openTestSystems({ load: (url) => loadDirty(url, USERS), secretKey: "sk_live_dirty" });
  for (const id of [...on.clerk.store.users.keys()]) on.clerk.store.removeUser(id);
  addDirtyClerkUsers(on.clerk.store, USERS);
  await on.restartWith(CHOSEN);
});
afterAll(() => on.close());

test("a table with the usual dirt is told apart row by row, as docs/dry-run.txt shows", async () => {
  const before = on.clerk.store.requests.length;
  const plan = await on.plan(CHOSEN);
  const asked = on.clerk.store.requests.slice(before).filter(({ kind }) => kind === "GET /users");
  expect(asked.length).toBeLessThanOrEqual(Math.ceil(USERS / 100) * 2 + 1);
  await expect(`${describePlan(plan, on.settings(CHOSEN))}\n`).toMatchFileSnapshot("../../docs/dry-run.txt");
});

test("and every row of it ends as announced", async () => {
  const plan = await on.plan(CHOSEN);
  const announced = plan.users.filter(({ verdict }) => verdict === "create");
  const before = on.clerk.store.users.size;
  await Promise.all(
    plan.users.flatMap(({ declared }) => (declared === null ? [] : [ensureUser(on.systems, declared)])),
  );
  expect(on.clerk.store.users.size - before).toBe(announced.length);
  const rows = await on.query<{ linked: number }>(
    "select count(*)::int as linked from app.accounts where clerk_id like 'user\\_%' and clerk_id not like 'user\\_earlier%' and clerk_id not like 'user\\_deleted%'",
  );
  expect(rows[0]?.linked).toBe(announced.length);
});
