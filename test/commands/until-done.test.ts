import { expect, test } from "vitest";

import { pendingMails, untilDone } from "../../commands/until-done";
import type { Told } from "../../providers/verdicts/mails";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.parse("2026-01-01");
const pace = { invitationsPerHour: 0, mailsPerHour: 100, mailsPerDay: 1000, mailWarmUp: [] };

/** Rounds that send two mails each, with a clock that only waiting moves. */
function rounds(mails: number, exitCodes: readonly number[] = []) {
  const story: string[] = [];
  let [left, ups] = [mails, 0];
  const stopping = new AbortController();
  return {
    story,
    stopping,
    run: () =>
      untilDone({
        up: (isFirst) => {
          story.push(isFirst ? "up" : "up again");
          left = Math.max(0, left - 2);
          return Promise.resolve(exitCodes[ups++] ?? 0);
        },
        pending: () => Promise.resolve(left === 0 ? undefined : { mails: left, waitMs: 60 * MINUTE }),
        say: (line) => story.push(line.replace(/at \S+ \S+ UTC/, "at <time>")),
        signal: stopping.signal,
        wait: (ms) => {
          story.push(`waits ${(ms / MINUTE).toString()} minutes`);
          return stopping.signal.aborted ? Promise.reject(new Error("aborted")) : Promise.resolve();
        },
      }),
  };
}

test("runs up until every mail is out, and says each time how many are pending", async () => {
  const { run, story } = rounds(5);
  expect(await run()).toBe(0);
  const waits = ["waits 60 minutes", "up again"];
  const line = (mails: number) =>
    `${mails.toString()} mails are pending; the next go out at <time>. Ctrl-C stops the waiting; a later up goes on.`;
  expect(story).toEqual(["up", line(3), ...waits, line(1), ...waits, "Every mail that can go out is out."]);
});

test("stops at a run that fails, with its exit code", async () => {
  const { run, story } = rounds(5, [0, 1]);
  expect(await run()).toBe(1);
  expect(story.filter((line) => line.startsWith("up"))).toEqual(["up", "up again"]);
});

test("stops waiting when it is interrupted", async () => {
  const { run, stopping } = rounds(5);
  stopping.abort();
  expect(await run()).toBe(130);
});

test("waits until the oldest mail of the last hour is an hour old, and not where the month is used up", () => {
  const sent = (oldest: number | null) => ({ count: oldest === null ? 0 : 100, oldest });
  const of = (told: readonly Told[], oldest: number | null, thisMonth: number | null = null) => {
    const quiet = { hour: sent(null), day: sent(null), thisMonth: null, problem: "" };
    const mails = {
      invitations: { ...quiet, hour: sent(oldest), thisMonth },
      own: quiet,
      firstOwn: null,
      found: new Set<string>(),
      invitedByOthers: new Set<string>(),
      now: NOW,
    };
    const users = told.map((turn) => ({ told: turn, way: "invitation", isReminderPending: false }) as const);
    return pendingMails({ users, mails }, pace);
  };
  expect(of(["sent", "never"], null)).toBeUndefined();
  expect(of(["later", "later"], NOW - HOUR + 60_000)).toEqual({ mails: 2, waitMs: 65_000 });
  expect(of(["now", "later"], null)).toEqual({ mails: 2, waitMs: MINUTE });
  expect(of(["later"], NOW - 1_000, 100)).toBeUndefined();
});
