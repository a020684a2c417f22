import { setTimeout as wait } from "node:timers/promises";

import { isToBeTold, type PlannedUser } from "../providers/planned";
import { channelOf } from "../providers/verdicts/mails";
import { channels, paceOf, type PaceSettings } from "../providers/verdicts/pace";
import type { MailFacts } from "../providers/world";

const MINUTE = 60_000;

/** Clerk's hour is not ours to the second. */
const MARGIN = 5_000;

export interface Pending {
  readonly mails: number;
  /** Milliseconds until the first of them may go out. */
  readonly waitMs: number;
}

type PendingUser = Pick<PlannedUser, "told" | "way" | "isReminderPending">;

/** What is left to be sent after a run; undefined where nothing is, or where no waiting helps. */
export function pendingMails(
  { users, mails }: { readonly users: readonly PendingUser[]; readonly mails: MailFacts },
  settings: PaceSettings,
): Pending | undefined {
  const waits = channels.flatMap((channel) => {
    const waiting = users.filter(
      (user) => channelOf(user.way) === channel && (isToBeTold(user) || user.isReminderPending),
    ).length;
    const { leftOfMonth, nextAt } = paceOf(channel, settings, mails);
    if (waiting === 0 || leftOfMonth === 0 || mails[channel].problem !== "") return [];
    return [{ waiting, waitMs: nextAt === null ? MINUTE : Math.max(0, nextAt - mails.now) + MARGIN }];
  });
  if (waits.length === 0) return undefined;
  return {
    mails: waits.reduce((sum, { waiting }) => sum + waiting, 0),
    waitMs: Math.min(...waits.map(({ waitMs }) => waitMs)),
  };
}

export interface Rounds {
  readonly up: (isFirst: boolean) => Promise<number>;
  readonly pending: () => Promise<Pending | undefined>;
  readonly say: (line: string) => void;
  /** Ends the waiting, e.g. on Ctrl-C. */
  readonly signal: AbortSignal;
  /** @default the real one */
  readonly wait?: (ms: number) => Promise<void>;
}

/** `up` again and again until every mail is out. Answers the exit code of the last one, 130 after an interruption. */
export async function untilDone({
  up,
  pending,
  say,
  signal,
  wait: pause = realWait(signal),
}: Rounds): Promise<number> {
  for (let isFirst = true; ; isFirst = false) {
    const exitCode = await up(isFirst);
    if (exitCode !== 0) return exitCode;
    const left = await pending();
    if (left === undefined) {
      say("Every mail that can go out is out.");
      return 0;
    }
    const until = new Date(Date.now() + left.waitMs).toISOString().slice(0, 16).replace("T", " ");
    say(
      `${left.mails.toString()} mails are pending; the next go out at ${until} UTC. Ctrl-C stops the waiting; a later up goes on.`,
    );
    try {
      await pause(left.waitMs);
    } catch {
      return 130;
    }
  }
}

const realWait = (signal: AbortSignal) => async (ms: number) => {
  await wait(ms, undefined, { signal });
};
