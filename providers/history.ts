import type { LedgerEvent, NumberedRun } from "./postgres/ledger-events";

const sentences: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  users: {
    creating: "is about to be created in Clerk, or taken over",
    linked: "is in Clerk, and the row is linked",
    unlinking: "is about to be rolled back",
    rolled_back: "is rolled back",
    refused: "was refused; nothing of ours is in Clerk",
  },
  notifications: {
    sending: "mail: about to be sent",
    sent: "mail: sent",
    rehearsed: "mail: sent to the address for rehearsals",
    unknown: "mail: nobody knows whether it was sent",
    failed: "mail: not sent",
    revoking: "mail: about to be taken back",
    revoked: "mail: taken back",
  },
  retired_passwords: {
    retired: "digest: taken out of the table, and sealed",
    restored: "digest: put back into the table",
    purged: "digest: deleted for good",
  },
};

/** One line for each event, in order; with whom it concerns where that is not one user. */
export function describeEvents(events: readonly LedgerEvent[], isOfOneUser: boolean): string {
  return events
    .map(({ at, subject, userId, status, failureCode }) => {
      const what = sentences[subject]?.[status] ?? `${subject}: ${status}`;
      const failure = failureCode === null ? "" : ` (${failureCode})`;
      return `${timeOf(at)}  ${isOfOneUser ? "" : `${userId}  `}${what}${failure}`;
    })
    .join("\n");
}

/** One line for each run, in order. */
export function describeRuns(runs: readonly NumberedRun[]): string {
  return runs
    .map((run) => {
      const { id, startedAt, finishedAt, operator, commit, planned, actual } = run;
      const took =
        finishedAt === null
          ? "cut off, or still at work"
          : duration(finishedAt.getTime() - startedAt.getTime());
      const who = [operator ?? "", commit?.slice(0, 12) ?? ""].filter((part) => part !== "").join(" at ");
      const counts = `planned ${numbers(planned)}${actual === null ? "" : `; then ${numbers(actual)}`}`;
      return `#${id}  ${timeOf(startedAt)}  ${took}${who === "" ? "" : `  by ${who}`}  ${counts}; ${requestText(run)}`;
    })
    .join("\n");
}

function requestText({ requests, repeated, limited }: NumberedRun): string {
  const repeats = repeated === 0 ? "" : `, ${repeated.toString()} of them repeated`;
  const limits = limited === 0 ? "" : `, ${limited.toString()} answered 429`;
  return `${requests.toString()} requests${repeats}${limits}`;
}

function numbers(counts: Readonly<Record<string, unknown>>): string {
  const some = Object.entries(counts).filter(([, count]) => typeof count === "number" && count > 0);
  return some.length === 0 ? "nothing" : some.map(([name, count]) => `${String(count)} ${name}`).join(", ");
}

function timeOf(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60
    ? `${seconds.toString()} s`
    : `${Math.floor(seconds / 60).toString()} min ${(seconds % 60).toString()} s`;
}
