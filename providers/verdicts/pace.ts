import type { Settings } from "../settings";
import type { MailFacts } from "../world";

/** Clerk's limits (clerk.com/docs, system limits; test e-mails): the second are dropped without a word beyond it. */
const INVITATIONS_PER_HOUR = 100;
export const DEVELOPMENT_MAILS_PER_MONTH = 100;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Clerk's invitations, or mails of our own: each has its limits. */
export const channels = ["invitations", "own"] as const;
export type Channel = (typeof channels)[number];

export type PaceSettings = Pick<
  Settings,
  "invitationsPerHour" | "mailsPerHour" | "mailsPerDay" | "mailWarmUp"
>;

/** How fast mails go out of one channel. Infinity where there is no limit. */
export interface Pace {
  readonly perHour: number;
  /** Of the first day, the second, and so on; the last goes on. */
  readonly perDay: readonly number[];
  /** How many may go out now. */
  readonly room: number;
  /** Of this month, in which a development instance delivers no more. */
  readonly leftOfMonth: number;
  /** Milliseconds since 1970 when there is room again; null where there is some. */
  readonly nextAt: number | null;
}

export function paceOf(channel: Channel, settings: PaceSettings, facts: MailFacts): Pace {
  const perHour = perHourOf(channel, settings);
  const perDay = channel === "invitations" ? [Infinity] : daysFrom(settings, facts);
  const { hour, day, thisMonth } = facts[channel];
  const leftOfHour = perHour - hour.count;
  const leftOfDay = (perDay[0] ?? Infinity) - day.count;
  const leftOfMonth = thisMonth === null ? Infinity : DEVELOPMENT_MAILS_PER_MONTH - thisMonth;
  const room = facts[channel].problem === "" ? Math.max(0, Math.min(leftOfHour, leftOfDay, leftOfMonth)) : 0;
  const binding = leftOfDay <= leftOfHour ? [day.oldest, DAY] : [hour.oldest, HOUR];
  const [oldest, span] = [binding[0] ?? null, binding[1] ?? 0];
  return {
    perHour,
    perDay,
    room,
    leftOfMonth: Math.max(0, leftOfMonth),
    nextAt: room > 0 || oldest === null ? null : oldest + span,
  };
}

function perHourOf(channel: Channel, settings: PaceSettings): number {
  return channel === "invitations"
    ? settings.invitationsPerHour || INVITATIONS_PER_HOUR
    : settings.mailsPerHour || Infinity;
}

/** A new domain warms up: its first days bear fewer mails. */
function daysFrom(
  { mailWarmUp, mailsPerDay }: PaceSettings,
  { firstOwn, now }: MailFacts,
): readonly number[] {
  const age = firstOwn === null ? 0 : Math.max(0, Math.floor((now - firstOwn) / DAY));
  return [...mailWarmUp.slice(age), mailsPerDay || Infinity];
}

/** Hours until the last of these mails is out, if a run comes by every hour; null where the month does not hold them. */
export function hoursFor(
  mails: number,
  { perHour, perDay, leftOfMonth }: Pick<Pace, "perHour" | "perDay" | "leftOfMonth">,
): number | null {
  if (mails > leftOfMonth) return null;
  let [left, hours] = [mails, 0];
  for (let day = 0; ; day++) {
    const today = Math.min(perDay[Math.min(day, perDay.length - 1)] ?? Infinity, perHour * 24);
    if (left <= today) return hours + (perHour === Infinity ? Math.min(left, 1) : Math.ceil(left / perHour));
    left -= today;
    hours += 24;
  }
}

/** The same for what a stack exports, which does not change with the hour of the day. */
export function hoursToSend(mails: number, settings: PaceSettings & Pick<Settings, "notify">): number {
  const isOwn = settings.notify === "sign-in-link" || settings.notify === "announcement";
  const perHour = perHourOf(isOwn ? "own" : "invitations", settings);
  const perDay = isOwn ? [settings.mailsPerDay || Infinity] : [Infinity];
  return hoursFor(mails, { perHour, perDay, leftOfMonth: Infinity }) ?? 0;
}
