import { commonReason, type FailureGroup, type Life, livesOf, type Stragglers } from "../funnel";
import type { StackOutputs } from "../outputs";
import { isToBeTold, type Plan, type PlannedUser, usersById } from "../planned";
import type { Ledger } from "../postgres/ledger";
import type { NumberedRun } from "../postgres/ledger-events";
import { funnelSteps, nextSteps, share } from "../readme";
import { channelOf } from "../verdicts/mails";
import { type Channel, hoursFor, paceOf, type PaceSettings } from "../verdicts/pace";
import { type Column, columnOf, type Ids, idsOf } from "./columns";
import { type Series, seriesOf } from "./series";

/** What a report is drawn from. */
export interface ReportFacts {
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
  readonly plan: Plan;
  readonly ledger: Ledger;
  /** By Clerk's user id, milliseconds since 1970 of the last sign-in. */
  readonly arrivals: ReadonlyMap<string, number>;
  readonly outputs: StackOutputs;
  /** Oldest first. */
  readonly runs: readonly NumberedRun[];
  readonly settings: PaceSettings;
  /** Whether the labels of the plan are whole addresses. */
  readonly isRevealed: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What a report says, in the order in which it says it. */
export interface Report {
  readonly stack: string;
  readonly clerkInstanceId: string;
  /** UTC. */
  readonly madeAt: string;
  readonly isRevealed: boolean;
  readonly next: readonly string[];
  readonly steps: readonly { readonly step: string; readonly users: number; readonly share: string }[];
  readonly series: Series;
  readonly stragglers: readonly Stragglers[];
  readonly failures: readonly FailureGroup[];
  readonly forecast: readonly Forecast[];
  readonly runs: readonly RunLine[];
  readonly runsInAll: number;
  readonly users: UserColumns;
}

export interface Forecast {
  readonly mail: string;
  readonly sent: number;
  readonly pending: number;
  readonly pace: string;
  readonly end: string;
}

export interface RunLine {
  readonly id: string;
  readonly startedAt: string;
  readonly operator: string;
  readonly commit: string;
  readonly duration: string;
  readonly planned: string;
  readonly actual: string;
  /** To Clerk. */
  readonly requests: string;
}

/** A row for each user, column by column. An address is its local part and its domain, which many share. */
export interface UserColumns {
  readonly count: number;
  readonly ids: Ids;
  readonly local: Column;
  readonly domain: Column;
  readonly state: Column;
  readonly linked: Column;
  readonly told: Column;
  readonly signedIn: Column;
  readonly note: Column;
}

const RUNS = 100;

export function reportOf(facts: ReportFacts): Report {
  const { stack, clerkInstanceId, plan, ledger, outputs, runs, isRevealed, now } = facts;
  const { funnel, stragglers, failuresByReason } = outputs;
  const lives = livesOf(ledger, stack, facts.arrivals);
  return {
    stack,
    clerkInstanceId,
    madeAt: minute(new Date(now)),
    isRevealed,
    next: nextSteps({ funnel, stragglers, failuresByReason, mailsPending: outputs.notifications.pending }),
    steps: funnelSteps(funnel).map(([step, users]) => ({ step, users, share: share(users, funnel.legacy) })),
    series: seriesOf(
      lives.flatMap(({ linkedAt }) => linkedAt ?? []),
      lives.flatMap(({ signedInAt }) => signedInAt ?? []),
      now,
    ),
    stragglers,
    failures: failuresByReason,
    forecast: forecastOf(facts),
    runs: runs.slice(-RUNS).toReversed().map(runLine),
    runsInAll: runs.length,
    users: userColumns(plan, ledger, new Map(lives.map((life) => [life.userId, life]))),
  };
}

const channels: readonly (readonly [Channel, string])[] = [
  ["invitations", "invitations by Clerk"],
  ["own", "mails of our own"],
];

function forecastOf({ plan, settings, ledger }: ReportFacts): Forecast[] {
  return channels.flatMap(([channel, mail]) => {
    const sent = [...ledger.notifications.values()].filter(
      ({ way, status }) => channelOf(way) === channel && status === "sent",
    ).length;
    const pending = plan.users.filter((user) => channelOf(user.way) === channel && isToBeTold(user)).length;
    if (sent + pending === 0) return [];
    const pace = paceOf(channel, settings, plan.mails);
    const hours = hoursFor(Math.max(0, pending - pace.room), pace);
    const perDay = pace.perDay[0] ?? Infinity;
    return [
      {
        mail,
        sent,
        pending,
        pace: `${limitText(pace.perHour)} an hour${perDay === Infinity ? "" : `, ${limitText(perDay)} today`}; ${limitText(pace.room)} now`,
        end: endText(pending, hours),
      },
    ];
  });
}

const limitText = (limit: number) => (limit === Infinity ? "any number" : limit.toString());

function endText(pending: number, hours: number | null): string {
  if (pending === 0) return "all are out";
  if (hours === null) return "not this month: a development instance delivers no more";
  if (hours === 0) return "with the next up";
  return hours < 48
    ? `in about ${hours.toString()} hours, if up runs every hour`
    : `in about ${Math.ceil(hours / 24).toString()} days, if up runs every hour`;
}

function runLine({ planned, actual, requests, limited, ...run }: NumberedRun): RunLine {
  const { id, operator, commit, startedAt, finishedAt } = run;
  return {
    id,
    startedAt: minute(startedAt),
    operator: operator ?? "unknown",
    commit: commit?.slice(0, 10) ?? "unknown",
    duration: finishedAt === null ? "cut off, or at work" : durationText(+finishedAt - +startedAt),
    planned: countsText(planned),
    actual: actual === null ? "–" : countsText(actual),
    requests: `${requests.toLocaleString("en")}${limited === 0 ? "" : ` (${limited.toLocaleString("en")} answered 429)`}`,
  };
}

function countsText(counts: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(counts).flatMap(([name, count]) =>
    typeof count === "number" && count > 0 ? [`${name} ${count.toString()}`] : [],
  );
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

function durationText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds.toString()} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes.toString()} min ${(seconds % 60).toString()} s`;
  return `${Math.floor(minutes / 60).toString()} h ${(minutes % 60).toString()} min`;
}

function minute(time: Date): string {
  return time.toISOString().slice(0, 16).replace("T", " ");
}

function userColumns(plan: Plan, ledger: Ledger, lives: ReadonlyMap<string, Life>): UserColumns {
  const { users } = plan;
  const byId = usersById(users);
  const life = (user: PlannedUser) => (byId.get(user.userId) === user ? lives.get(user.userId) : undefined);
  const column = (textOf: (user: PlannedUser) => string) => columnOf(users.map(textOf));
  return {
    count: users.length,
    ids: idsOf(users.map(({ userId }) => userId)),
    local: column(({ label }) => label.slice(0, Math.max(0, at(label)))),
    domain: column(({ label }) => label.slice(Math.max(0, at(label)))),
    state: column((user) => stateOf(user, ledger, life(user))),
    linked: column((user) => day(life(user)?.linkedAt)),
    told: column((user) => day(life(user)?.toldAt)),
    signedIn: column((user) => day(life(user)?.signedInAt)),
    note: column((user) => noteOf(user, ledger)),
  };
}

const at = (label: string) => label.lastIndexOf("@");

const day = (time: number | null | undefined) =>
  time == null ? "" : new Date(time).toISOString().slice(0, 10);

function stateOf({ userId, verdict, declared }: PlannedUser, ledger: Ledger, life: Life | undefined): string {
  const isFailed = ledger.users.get(userId)?.failure != null;
  if (isFailed && declared !== null) return "failed";
  if (life !== undefined) {
    if (life.signedInAt !== null) return "signed in";
    return life.toldAt === null ? "linked" : "told";
  }
  if (verdict === "excluded") return "left out";
  return verdict === "blocked" ? "blocked" : "to do";
}

function noteOf({ userId, reason, declared }: PlannedUser, ledger: Ledger): string {
  const failure = declared === null ? null : ledger.users.get(userId)?.failure;
  const said = failure?.reason ?? ledger.notifications.get(userId)?.failure?.reason ?? reason;
  return commonReason({ userId, reason: said });
}
