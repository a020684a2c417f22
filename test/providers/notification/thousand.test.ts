import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import type { NotificationInputs } from "../../../providers/notification/inputs";
import { ensureNotification } from "../../../providers/notification/lifecycle";
import { observeStack } from "../../../providers/observe";
import { makePlan } from "../../../providers/plan";
import { openDatabase } from "../../../providers/postgres/database";
import { hoursFor, paceOf } from "../../../providers/verdicts/pace";
import { connected } from "../../../sandbox/postgres";
import { loadSample } from "../../../sandbox/sample-users";
import { openTestSystems, type TestSystems } from "../../systems";

const USERS = 1_000;
const HOUR = 3_600_000;

/** Clerk's clock and the program's. */
let passed = 0;
const clock = () => Date.now() + passed;

let on: TestSystems;
beforeEach(async () => {
  passed = 0;
  on = await openTestSystems({
    secretKey: "sk_live_thousand",
    limits: { requestsPer10s: 1_000_000 },
    enforceLimits: true,
    now: clock,
    async load(url) {
      await loadSample(url);
      await connected(url, (client) =>
        client.query(
          `insert into users (user_id, email, name, password_hash, created_at)
           select gen_random_uuid(), 'person' || n || '@example.com', 'Person ' || n, sample.password_hash, now()
           from generate_series(1, ${(USERS - 36).toString()}) n,
             (select password_hash from users where clerk_user_id is null limit 1) sample`,
        ),
      );
    },
  });
});
afterEach(() => on.close());

async function atOnce<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 20 }, worker));
}

/** A run that begins now. */
async function planNow() {
  const reader = openDatabase(on.database.url, 1);
  try {
    const world = await observeStack(on.settings(), reader, on.migration, undefined, clock());
    const plan = makePlan(world, on.settings());
    // What Pulumi would create or update: the others are as they are declared.
    const open = plan.users.flatMap(({ userId, notifications }) =>
      world.ledger.notifications.get(userId)?.status === "sent" ? [] : notifications,
    );
    return { plan, open, mails: world.mails };
  } finally {
    await reader.end();
  }
}

const declaredMails = async (): Promise<NotificationInputs[]> => (await planNow()).open;

/** Postgres has a clock of its own: what this run has sent was sent at the time that everybody else believes in. */
const moveLedger = (since: Date) =>
  on.query(
    `with moved as (
       update clerk_migration.mails set at = at + $1 * interval '1 millisecond'
       where at between $2 and clock_timestamp()
     )
     update clerk_migration.notifications set
       sent_at = sent_at + $1 * interval '1 millisecond', updated_at = updated_at + $1 * interval '1 millisecond'
     where updated_at between $2 and clock_timestamp()`,
    [passed, since],
  );

test("a thousand invitations go out in ten hours, nobody is told twice or forgotten, whatever is killed meanwhile", async () => {
  const users = (await on.plan()).users.flatMap(({ declared }) => declared ?? []);
  expect(users).toHaveLength(USERS);
  await atOnce(users, (user) => ensureUser(on.systems, user));

  const { plan, mails } = await planNow();
  const pending = plan.users.filter(({ told }) => told === "now" || told === "later").length;
  expect(pending).toBe(USERS);
  const forecast = hoursFor(pending, paceOf("invitations", on.settings(), mails));

  let hours = 0;
  for (; hours < 15; hours++) {
    const since = new Date();
    const declared = await declaredMails();
    if (declared.length === 0) break;
    if (hours % 3 === 1) {
      // Killed with a mail on its way, after half of the others.
      await atOnce(declared.slice(0, 50), (mail) => ensureNotification(on.systems, mail));
      const [lost] = declared.slice(50);
      if (lost !== undefined) void ensureNotification(on.systems, lost).catch(() => undefined);
      await on.restart();
      await moveLedger(since);
      await atOnce(await declaredMails(), (mail) => ensureNotification(on.systems, mail));
    } else {
      if (hours % 3 === 2)
        on.clerk.faults.add({ on: "POST /invitations", skip: 30, effect: { type: "cut-after" } });
      await atOnce(declared, (mail) => ensureNotification(on.systems, mail));
    }
    await moveLedger(since);
    passed += HOUR + 1_000;
  }

  const told = on.clerk.store.outbox.map(({ to }) => to);
  expect(new Set(told).size).toBe(USERS);
  expect(told).toHaveLength(USERS);
  const ledger = await on.query<{ status: string; count: string }>(
    "select status, count(*) from clerk_migration.notifications group by status",
  );
  expect(ledger).toEqual([{ status: "sent", count: USERS.toString() }]);
  expect(forecast).toBe(10);
  expect(Math.abs(hours - (forecast ?? 0))).toBeLessThanOrEqual(1);
}, 180_000);
