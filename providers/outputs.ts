import {
  arrivalsOf,
  type FailureGroup,
  failuresByReason,
  type Funnel,
  funnelOf,
  livesOf,
  type Stragglers,
  stragglersOf,
} from "./funnel";
import { groupsOf } from "./plan-text";
import { countVerdicts, type Plan } from "./planned";
import { type Failure, isDigestOut, isHeld, type Ledger, type LedgerNotification } from "./postgres/ledger";
import type { UserCounts } from "./postgres/legacy-users";
import { readmeOf } from "./readme";
import type { Settings } from "./settings";
import { hoursToSend, type PaceSettings } from "./verdicts/pace";
import type { World } from "./world";

/** What the stack exports. It describes the stack, not the run: a second `up` exports the same. */
export interface StackOutputs {
  /** Rows of the users table. */
  readonly counts: UserCounts;
  readonly summary: {
    /** Users that this stack has taken on: migrated, adopted and failed. */
    readonly processed: number;
    /** Created in Clerk by this stack and linked. */
    readonly migrated: number;
    /** Linked to a Clerk user that was there before. */
    readonly adopted: number;
    readonly failed: number;
    /** Rows that cannot be taken on as they are. */
    readonly blocked: number;
    /** Rows that are not this stack's concern. */
    readonly excluded: number;
  };
  readonly failed: readonly { userId: string; reason: string; remedy: string }[];
  readonly blocked: readonly { userId: string; reason: string; remedy: string }[];
  /** How many rows are left out for which reason; `npm run plan` names them. */
  readonly excluded: readonly { reason: string; rows: number }[];
  /** Of the mails that tell users. */
  readonly notifications: {
    readonly sent: number;
    /** Went to the address for rehearsals: nobody is told. */
    readonly rehearsed: number;
    /** Not sent: the next `up` tries again. */
    readonly failed: number;
    /** Sent or not: nobody knows. */
    readonly unknown: number;
    /** Migrated, to be told, and not tried yet. */
    readonly pending: number;
    /** Reminders that are out. */
    readonly reminded: number;
    /** Until the last pending one is out, if `up` runs every hour. */
    readonly hoursLeft: number;
    readonly failures: readonly { userId: string; reason: string; remedy: string }[];
  };
  readonly funnel: Funnel;
  /** Migrated users who have never signed in. */
  readonly stragglers: readonly Stragglers[];
  readonly failuresByReason: readonly FailureGroup[];
  readonly clerkInstanceId: string;
  /** Markdown: Pulumi's console shows it as the stack's page. */
  readonly readme: string;
}

/** Pure: from the plan and from what table and ledger say after the run. */
export function stackOutputs(
  plan: Plan,
  stack: string,
  clerkInstanceId: string,
  counts: UserCounts,
  ledger: Ledger,
  settings: PaceSettings & Pick<Settings, "notify">,
  world: Pick<World, "arrivals" | "clerk" | "now">,
): StackOutputs {
  const declared = new Set(plan.users.filter((user) => user.declared !== null).map((user) => user.userId));
  const users = [...ledger.users.values()].filter((user) => user.stack === stack);
  const linked = users.filter((user) => user.status === "linked");
  const failed = users.filter((user) => user.failure !== null && (isHeld(user) || declared.has(user.userId)));
  const migrated = linked.filter((user) => user.origin === "created").length;
  const adopted = linked.length - migrated;
  const isFailed = new Set(failed.map((user) => user.userId));
  const verdicts = countVerdicts(plan);
  // A held one whose update is going to fail is among the failed.
  const blocked = plan.users.filter((user) => user.verdict === "blocked" && user.declared === null);

  const linkedIds = new Set(linked.map((user) => user.userId));
  const toTell = plan.users.filter((user) => user.told !== "never" && linkedIds.has(user.userId));
  const mails = toTell.flatMap(({ userId }) => ledger.notifications.get(userId) ?? []);
  const count = (wanted: LedgerNotification["status"]) =>
    mails.filter(({ status }) => status === wanted).length;
  const failures = mails.filter(
    ({ status, failure }) => status === "failed" || status === "unknown" || failure !== null,
  );
  const [sent, rehearsed, unknown] = [count("sent"), count("rehearsed"), count("unknown")];
  const pending = toTell.length - sent - rehearsed - failures.length;
  const retired = [...ledger.retired.values()].filter(isDigestOut);
  const lives = livesOf(ledger, stack, arrivalsOf(world));
  const progress = {
    funnel: funnelOf(plan, ledger, stack, lives, {
      retired: retired.length,
      purged: retired.filter(({ status }) => status === "purged").length,
    }),
    stragglers: stragglersOf(lives, world.now),
    failuresByReason: failuresByReason({
      users: failuresOf(failed),
      rows: blocked,
      mails: failuresOf(failures),
      digests: failuresOf([...ledger.retired.values()]),
    }),
  };
  return {
    counts,
    summary: {
      processed: new Set([...linkedIds, ...isFailed]).size,
      migrated,
      adopted,
      failed: failed.length,
      blocked: blocked.length,
      excluded: verdicts.excluded,
    },
    failed: failed.map(lineOf),
    blocked: blocked.map(({ userId, reason, remedy }) => ({ userId, reason, remedy })),
    excluded: groupsOf(plan)
      .filter(({ verdict }) => verdict === "excluded")
      .map(({ title, users: members }) => ({ reason: title, rows: members.length })),
    notifications: {
      sent,
      rehearsed,
      failed: failures.length - unknown,
      unknown,
      pending,
      reminded: [...ledger.reminders.values()].flat().filter(({ status }) => status === "sent").length,
      hoursLeft: hoursToSend(pending, settings),
      failures: failures.map(lineOf),
    },
    ...progress,
    clerkInstanceId,
    readme: readmeOf({ stack, clerkInstanceId, ...progress, mailsPending: pending }),
  };
}

/** Of the ledger. */
interface Entry {
  readonly userId: string;
  readonly failure: Failure | null;
}

function failuresOf(entries: readonly Entry[]) {
  return entries.flatMap(({ userId, failure }) => (failure === null ? [] : [{ userId, ...failure }]));
}

function lineOf({ userId, failure }: Entry) {
  return { userId, reason: failure?.reason ?? "", remedy: failure?.remedy ?? "" };
}
