import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import type { Finding } from "../../providers/findings";
import { makePlan } from "../../providers/plan";
import { openDatabase, readOnly } from "../../providers/postgres/database";
import { readReferences } from "../../providers/postgres/references";
import { defaultUsersTable } from "../../providers/postgres/users-table";
import { type Evidence, judgeEvidence, tryCanary } from "../../providers/verify";
import type { World } from "../../providers/world";
import { clerkUser } from "../../sandbox/clerk/new-user";
import { MARCUS, MIGRATION_ID, openTestSystems, SARAH, type TestSystems } from "../systems";

let on: TestSystems;
let migrated: Evidence;
beforeAll(async () => {
  on = await openTestSystems();
  for (const { declared } of (await on.plan()).users) {
    if (declared !== null) await ensureUser(on.systems, declared);
  }
  migrated = await gather();
});
afterAll(() => on.close());

let evidence: Evidence;
beforeEach(() => {
  evidence = migrated;
});

async function gather(): Promise<Evidence> {
  const database = openDatabase(on.database.url, 1);
  try {
    const world = await on.world();
    const plan = makePlan(world, on.settings());
    const { clerk } = on.systems;
    return {
      world,
      plan,
      clerkUsers: await clerk.allUsers(),
      references: await readOnly(database, (connection) => readReferences(connection, defaultUsersTable)),
      canaries: [await tryCanary(clerk, plan, { email: SARAH.email, password: SARAH.password })],
      isLedgerThere: true,
      inState: 36,
    };
  } finally {
    await database.end();
  }
}

/** The checks that are not fine. */
const wrong = (changes: Partial<Evidence>): [string, Finding["status"]][] =>
  judgeEvidence({ ...evidence, ...changes })
    .filter(({ status }) => status !== "ok")
    .map(({ check, status }) => [check, status]);

const without = (id: string | undefined) => evidence.clerkUsers.filter((user) => user.id !== id);
const worldWith = (changes: Partial<World>): World => ({ ...evidence.world, ...changes });
const sarah = () => on.live(SARAH.userId);

test("everything holds after a migration, table by table and canary included", () => {
  expect(wrong({})).toEqual([]);
  expect(judgeEvidence(evidence).map(({ check }) => check)).toEqual([
    ...[
      "verify/memory",
      "verify/remaining",
      "verify/ledger",
      "verify/links",
      "verify/clerk",
      "verify/orphans",
    ],
    ...[
      "verify/earlier-links",
      "verify/table public.chat_sessions.user_id",
      "verify/table public.prompts.user_id",
    ],
    ...[`verify/canary ${SARAH.userId}`, "verify/state"],
  ]);
});

test("a user who is gone from Clerk, or has lost our mark, fails the check of Clerk alone", () => {
  expect(wrong({ clerkUsers: without(sarah()?.id) })).toEqual([["verify/clerk", "problem"]]);
  const unmarked = evidence.clerkUsers.map((user) =>
    user.id === sarah()?.id ? { ...user, mark: null } : user,
  );
  expect(wrong({ clerkUsers: unmarked })).toEqual([["verify/clerk", "problem"]]);
});

test("somebody with our mark whom nobody holds is an orphan", () => {
  const [first] = evidence.clerkUsers;
  if (first === undefined) throw new Error("Clerk has nobody");
  const orphan = { ...first, id: "user_orphan", mark: { migration: MIGRATION_ID, adopted: false } };
  expect(wrong({ clerkUsers: [...evidence.clerkUsers, orphan] })).toEqual([["verify/orphans", "problem"]]);
});

test("a link that is not the ledger's fails", () => {
  const rows = evidence.world.rows.map((row) =>
    row.userId === SARAH.userId ? { ...row, clerkUserId: "user_x" } : row,
  );
  expect(wrong({ world: worldWith({ rows }) }).map(([check]) => check)).toContain("verify/links");
});

test("a user of the ledger whose run was cut off fails", () => {
  const users = new Map(evidence.world.ledger.users);
  const entry = users.get(MARCUS.userId);
  if (entry === undefined) throw new Error("the ledger has nobody");
  users.set(MARCUS.userId, { ...entry, status: "creating" });
  const ledger = { ...evidence.world.ledger, users };
  expect(wrong({ world: worldWith({ ledger }) }).map(([check]) => check)).toContain("verify/ledger");
});

test("a link of others that leads to nobody fails", () => {
  const other = evidence.world.rows.find(
    ({ userId, clerkUserId }) => clerkUserId !== null && !evidence.world.ledger.users.has(userId),
  );
  expect(wrong({ clerkUsers: without(other?.clerkUserId ?? "") })).toEqual([
    ["verify/earlier-links", "problem"],
  ]);
});

test("rows that refer to nobody, a wrong password of a canary, and a state that knows too few each fail alone", () => {
  expect(wrong({ references: [{ table: "public.prompts.user_id", rows: 3, lost: 1 }] })).toEqual([
    ["verify/table public.prompts.user_id", "problem"],
  ]);
  expect(wrong({ canaries: [{ name: SARAH.userId, isRight: false }] })).toEqual([
    [`verify/canary ${SARAH.userId}`, "problem"],
  ]);
  expect(wrong({ canaries: [{ name: "unknown", isRight: null }] })).toEqual([
    ["verify/canary unknown", "unknown"],
  ]);
  expect(wrong({ inState: 0 })).toEqual([["verify/state", "problem"]]);
  expect(wrong({ inState: null })).toEqual([["verify/state", "unknown"]]);
});

test("a wrong password of a canary is told from the right one by Clerk itself", async () => {
  const { plan } = evidence;
  expect(await tryCanary(on.systems.clerk, plan, { email: SARAH.email, password: "wrong" })).toMatchObject({
    isRight: false,
  });
  expect(
    await tryCanary(on.systems.clerk, plan, { email: "nobody@example.com", password: "x" }),
  ).toMatchObject({
    isRight: null,
  });
});

test("reads every Clerk user once, however many pages there are", async () => {
  const before = on.clerk.store.users.size;
  for (let index = 0; index < 1_100; index++) {
    const name = `page${index.toString()}`;
    on.clerk.store.putUser(
      clerkUser({
        id: `user_${name}`,
        email: `${name}@example.com`,
        createdAt: Date.UTC(2020, 0, 1) + index,
      }),
    );
  }
  const all = await on.systems.clerk.allUsers();
  expect(new Set(all.map(({ id }) => id)).size).toBe(before + 1_100);
  expect(all).toHaveLength(before + 1_100);
});

test("rows that a run would still touch are named with their verdict", async () => {
  await on.query("update users set name = 'Sara' where user_id = $1", [SARAH.userId]);
  const changed = await gather();
  const found = judgeEvidence(changed).find(({ check }) => check === "verify/remaining");
  expect(found).toMatchObject({
    status: "problem",
    sentence: `1 rows are not done with: ${SARAH.userId} (update).`,
  });
});
