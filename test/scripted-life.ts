import { ensureUser } from "../providers/clerk-user/lifecycle";
import { ensureNotification } from "../providers/notification/lifecycle";
import type { StackOutputs } from "../providers/outputs";
import { countVerdicts } from "../providers/planned";
import { openDatabase } from "../providers/postgres/database";
import { finishRun, startRun } from "../providers/postgres/ledger-runs";
import { gatherReport } from "../providers/report/gather";
import type { ReportFacts } from "../providers/report/model";
import { legacyUsers, openTestSystems, PROJECT, STACK, type TestSystems } from "./systems";

const DAY = 86_400_000;

/** What becomes of the 44 users of the sample in 30 days; the rest of the story is in `live`. */
export const story = {
  /** How many days ago each wave was, and how many users the stack was allowed to hold then. */
  waves: [
    { daysAgo: 29.5, limit: 10 },
    { daysAgo: 20.5, limit: 22 },
    { daysAgo: 7.5, limit: 0 },
  ],
  /** Rows with an address that is none. */
  blocked: 2,
  /** Whom Clerk refuses, in the last wave. */
  refused: 1,
  /** Of those who are linked, in the order of their ids. */
  told: 24,
  signedIn: 15,
} as const;

/** Lives those days in a database and a local Clerk of their own. */
export async function live(): Promise<TestSystems> {
  const on = await openTestSystems({ enforceLimits: false });
  for (const { userId } of legacyUsers.slice(0, story.blocked))
    await on.query("update users set email = 'nobody at all ' || user_id where user_id = $1", [userId]);
  for (const [index, { daysAgo, limit }] of story.waves.entries()) {
    const isLast = index === story.waves.length - 1;
    if (isLast) {
      const body = { errors: [{ code: "not_allowed_access", message: "is not allowed" }] };
      on.clerk.faults.add({
        on: "POST /users",
        times: story.refused,
        effect: { type: "answer", status: 403, body },
      });
    }
    await wave(on, { daysAgo, limit: limit.toString() });
  }
  await tell(on);
  await signIn(on);
  return on;
}

async function wave(on: TestSystems, { daysAgo, limit }: { daysAgo: number; limit: string }): Promise<void> {
  const plan = await on.plan({ limit });
  const database = openDatabase(on.database.url, 1);
  try {
    const runId = await startRun(database, {
      owner: on.migration,
      ...{ engine: { host: "", address: "" }, removable: [] },
      operator: "ada",
      commit: "0123456789abcdef0123456789abcdef01234567",
      planned: countVerdicts(plan),
    });
    const actual = { migrated: 0, failed: 0 };
    for (const { declared } of plan.users) {
      if (declared === null) continue;
      await ensureUser(on.systems, declared).then(
        () => actual.migrated++,
        () => actual.failed++,
      );
    }
    await finishRun(database, runId, actual);
    const at = new Date(Date.now() - daysAgo * DAY);
    await on.query(
      "update clerk_migration.users set linked_at = $1 where linked_at > now() - interval '1 hour'",
      [at],
    );
    await on.query(
      "update clerk_migration.runs set started_at = $1, finished_at = $1::timestamptz + interval '95 seconds' where run_id = $2",
      [at, runId],
    );
  } finally {
    await database.end();
  }
}

/** A day after they were linked. */
async function tell(on: TestSystems): Promise<void> {
  const { users } = await on.plan();
  const linked = users.filter(({ verdict }) => verdict === "unchanged");
  for (const { notifications } of linked.slice(0, story.told)) {
    const [first] = notifications;
    if (first !== undefined) await ensureNotification(on.systems, first);
  }
  await on.query(
    `update clerk_migration.notifications as mail set sent_at = linked_at + interval '1 day'
     from clerk_migration.users as told where told.user_id = mail.user_id`,
  );
}

async function signIn(on: TestSystems): Promise<void> {
  const rows = await on.query<{ clerk_user_id: string; linked_at: Date }>(
    "select clerk_user_id, linked_at from clerk_migration.users where status = 'linked' order by user_id limit $1",
    [story.signedIn],
  );
  for (const [index, { clerk_user_id, linked_at }] of rows.entries()) {
    const lastSignInAt = Math.min(Date.now() - 60_000, linked_at.getTime() + (1 + index) * DAY);
    on.clerk.store.changeUser(clerk_user_id, { lastSignInAt });
  }
}

/** What a report of them is drawn from now. */
export async function factsOf(on: TestSystems, isRevealed = false): Promise<ReportFacts> {
  const settings = { ...on.settings(), reveal: isRevealed };
  const database = openDatabase(on.database.url, 1);
  try {
    return await gatherReport(settings, database, { project: PROJECT, stack: STACK });
  } finally {
    await database.end();
  }
}

/** What the stack would export now. */
export async function outputsOf(on: TestSystems): Promise<StackOutputs> {
  return (await factsOf(on)).outputs;
}
