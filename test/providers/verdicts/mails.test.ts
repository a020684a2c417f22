import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { LedgerNotification, Way } from "../../../providers/postgres/ledger";
import { type MailSettings, type Recipient, type Turn, turns } from "../../../providers/verdicts/mails";
import { hoursFor, type Pace, paceOf } from "../../../providers/verdicts/pace";
import type { ChannelFacts, MailFacts } from "../../../providers/world";

const NOW = Date.parse("2026-01-10");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const settings: MailSettings = {
  notify: "sign-in-link",
  notifyOnly: [],
  heldOnly: false,
  redirectAllMailTo: undefined,
  remindAfterDays: 0,
  maxReminders: 1,
  invitationsPerHour: 0,
  mailsPerHour: 100,
  mailsPerDay: 1000,
  mailWarmUp: [],
};

const none = { count: 0, oldest: null };
const quiet: ChannelFacts = { hour: none, day: none, thisMonth: null, problem: "" };
const facts = (own: Partial<ChannelFacts> = {}, firstOwn: number | null = null): MailFacts => ({
  invitations: quiet,
  own: { ...quiet, ...own },
  firstOwn,
  found: new Set(),
  invitedByOthers: new Set(),
  now: NOW,
});

const person = (userId: string, changes: Partial<Recipient> = {}): Recipient => ({
  userId,
  email: `${userId}@example.com`,
  isOurs: true,
  isShutOut: false,
  passwords: "carry",
  linkedAt: null,
  lastActiveAt: null,
  hasArrived: false,
  resend: undefined,
  ...changes,
});

const out = (userId: string, changes: Partial<LedgerNotification> = {}): LedgerNotification => ({
  userId,
  number: 0,
  way: "sign-in-link",
  stack: "p/s",
  clerkInstanceId: "ins_1",
  credentialId: null,
  emailFingerprint: null,
  status: "sent",
  attempt: 1,
  sentAt: new Date(NOW - 10 * DAY),
  failure: null,
  ...changes,
});

function told(
  recipients: readonly Recipient[],
  changes: Partial<MailSettings> = {},
  mails: readonly LedgerNotification[] = [],
  about = facts(),
) {
  const notifications = new Map(
    mails.filter(({ number }) => number === 0).map((mail) => [mail.userId, mail]),
  );
  const reminders = new Map(
    mails.filter(({ number }) => number > 0).map((mail) => [mail.userId, [mail]] as const),
  );
  return [...turns(recipients, { notifications, reminders }, { ...settings, ...changes }, about).values()];
}

describe("who is told", () => {
  test("whoever was active last comes first, then whoever was migrated first", () => {
    const turn = told(
      [
        person("a", { linkedAt: 1 }),
        person("b", { linkedAt: 2, lastActiveAt: 5 }),
        person("c", { linkedAt: 3, lastActiveAt: 9 }),
      ],
      { mailsPerHour: 2 },
    );
    expect(turn.map((one) => one.told)).toEqual(["later", "now", "now"]);
  });

  test("keeps the way of the first mail, whatever the setting has become", () => {
    const failed = out("a", { way: "invitation", status: "failed" });
    expect(told([person("a"), person("b")], {}, [failed]).map(({ way }) => way)).toEqual([
      "invitation",
      "sign-in-link",
    ]);
  });

  test("two ways do not use up each other's room", () => {
    const failed = out("a", { way: "invitation", status: "failed" });
    const turn = told([person("a"), person("b"), person("c")], { mailsPerHour: 1 }, [failed]);
    expect(turn.map((one) => one.told)).toEqual(["now", "now", "later"]);
  });

  test("whoever may be told once more takes the room of others", () => {
    const unknown = out("a", { way: "invitation", status: "unknown" });
    const moved = out("b", { way: "invitation", emailFingerprint: "another address" });
    const turn = told(
      [person("a"), person("b"), person("c"), person("d")],
      { notify: "invitation", invitationsPerHour: 3 },
      [unknown, moved],
    );
    expect(turn.map((one) => one.told)).toEqual(["again", "again", "now", "later"]);
  });

  test("nobody by our own mails while the mail server is away", () => {
    const away = facts({ problem: "Nobody can be told now." });
    expect(told([person("a")], {}, [], away).map((one) => one.told)).toEqual(["later"]);
    expect(told([person("a")], { notify: "invitation" }, [], away).map((one) => one.told)).toEqual(["now"]);
  });
});

const remindersOf = ({ mails }: Turn) => mails.map(({ number }) => number).filter((number) => number > 0);

describe("who is reminded", () => {
  const remind = { remindAfterDays: 7, maxReminders: 2 };
  const numbers = (...given: Parameters<typeof told>) => told(...given).map(remindersOf);

  test("stragglers, after that time, after everybody who waits for the first mail", () => {
    expect(numbers([person("a")], remind, [out("a")])).toEqual([[1]]);
    expect(numbers([person("a")], remind, [out("a", { sentAt: new Date(NOW - 6 * DAY) })])).toEqual([[]]);
    const crowded = told([person("a"), person("b")], { ...remind, mailsPerHour: 1 }, [out("a")]);
    expect(crowded.map((one) => [one.told, remindersOf(one), one.isReminderPending])).toEqual([
      ["sent", [], true],
      ["now", [], false],
    ]);
  });

  test.each([
    ["has arrived", person("a", { hasArrived: true }), out("a"), remind],
    ["may not have got the first mail", person("a"), out("a", { status: "unknown" }), remind],
    ["was in a rehearsal only", person("a"), out("a", { status: "rehearsed" }), remind],
    ["is adopted", person("a", { isOurs: false }), out("a"), remind],
    ["is not among those to be told", person("a"), out("a"), { ...remind, notifyOnly: ["b@example.com"] }],
    ["is told by no stack any more", person("a"), out("a"), { ...remind, notify: "none" as const }],
    ["is only held", person("a"), out("a"), { ...remind, heldOnly: true }],
  ])("nobody who %s", (_, recipient, mail, changes) => {
    expect(numbers([recipient], changes, [mail])).toEqual([[]]);
  });

  test("as often as allowed, counted from the last one, and those that are out stay declared", () => {
    const first = out("a", { number: 1, sentAt: new Date(NOW - 8 * DAY) });
    expect(numbers([person("a")], remind, [out("a"), first])).toEqual([[1, 2]]);
    expect(numbers([person("a")], { ...remind, maxReminders: 1 }, [out("a"), first])).toEqual([[1]]);
    expect(numbers([person("a")], { remindAfterDays: 0 }, [out("a"), first])).toEqual([[1]]);
  });
});

describe("the pace", () => {
  test("of a new sender's domain grows from day to day", () => {
    const warm = { ...settings, mailWarmUp: [50, 100], mailsPerHour: 0 };
    const room = (firstOwn: number | null, day = 0) =>
      paceOf("own", warm, facts({ day: { count: day, oldest: NOW - HOUR } }, firstOwn)).room;
    expect(room(null)).toBe(50);
    expect(room(NOW - HOUR, 50)).toBe(0);
    expect(room(NOW - DAY)).toBe(100);
    expect(room(NOW - 2 * DAY)).toBe(1000);
  });

  test("says when there is room again: after the hour, or after the day", () => {
    const nextAt = (hour: number, day: number) =>
      paceOf(
        "own",
        settings,
        facts({ hour: { count: hour, oldest: NOW - 600 }, day: { count: day, oldest: NOW - 2 * HOUR } }),
      ).nextAt;
    expect(nextAt(5, 5)).toBeNull();
    expect(nextAt(100, 100)).toBe(NOW - 600 + HOUR);
    expect(nextAt(100, 1000)).toBe(NOW - 2 * HOUR + DAY);
  });

  test("is forecast as it comes to be, hour by hour", () => {
    const arbitraryPace = fc.record({
      mails: fc.integer({ min: 0, max: 3_000 }),
      perHour: fc.integer({ min: 1, max: 200 }),
      perDay: fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(arbitraryPace, ({ mails, ...limits }) => {
        expect(hoursFor(mails, { ...limits, leftOfMonth: Infinity })).toBe(hoursOneByOne(mails, limits));
      }),
    );
    expect(hoursFor(101, { perHour: 10, perDay: [Infinity], leftOfMonth: 100 })).toBeNull();
  });
});

/** Sends what each hour and each day leave, an hour at a time. */
function hoursOneByOne(mails: number, { perHour, perDay }: Pick<Pace, "perHour" | "perDay">): number {
  let [left, hours] = [mails, 0];
  for (let today = 0; left > 0; hours++) {
    if (hours % 24 === 0) today = perDay[Math.min(hours / 24, perDay.length - 1)] ?? 0;
    const now = Math.min(left, perHour, today);
    [left, today] = [left - now, today - now];
  }
  return hours;
}

test.each<[Way, "carry" | "reset", Way]>([
  ["announcement", "carry", "announcement"],
  ["announcement", "reset", "sign-in-link"],
  ["invitation", "reset", "invitation"],
])("%s to somebody whose passwords are %s is %s", (notify, passwords, way) => {
  expect(told([person("a", { passwords })], { notify })[0]?.way).toBe(way);
});
