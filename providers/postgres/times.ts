const DAY = 86_400_000;

/**
 * Milliseconds since 1970 of a time as JSON or text spell it. Infinity where it never comes (also beyond the year 9999),
 * undefined where it stands for none (-infinity, a zero date, the first day of 1970 and before) or is no time at all.
 */
export function timeOf(text: string): number | undefined {
  if (text === "infinity") return Infinity;
  const [, year, day] = /^(\d{4,})-(\d\d-\d\d)/.exec(text) ?? [];
  if (year === undefined || day === undefined || text.endsWith("BC")) return undefined;
  if (year.length > 4) return Infinity;
  const time = Date.parse(isZoned(text) ? text : `${text.padEnd(19, "T00:00:00")}Z`);
  return time >= DAY ? time : undefined;
}

/** A time without a zone is UTC, never the machine's zone. */
function isZoned(text: string): boolean {
  return /(Z|[+-]\d\d(:?\d\d)?)$/.test(text.slice(10));
}

/** RFC 3339 in UTC, with milliseconds, as far as it can be sent to Clerk; null where it cannot. */
export function utcTimestamp(text: string | null): string | null {
  const time = text === null ? undefined : timeOf(text);
  return time === undefined || time === Infinity ? null : new Date(time).toISOString();
}

/** What a time in a flag's column says: that the flag holds from then on, or until then. */
export type FlagReading = "since" | "until";

const untilWords: readonly string[] = ["till", "end", "ends", "ended", "lifted"];

/** By the name of the column: `banned_until`, `ban_end`, `banExpires` name an end; everything else, a beginning. */
export function flagReading(column: string): FlagReading {
  const words = column.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
  const isEnd = /until|expir/.test(words) || words.split(/[^a-z]+/).some((word) => untilWords.includes(word));
  return isEnd ? "until" : "since";
}

/** A number this large is the seconds of a time; one a thousand times as large, its milliseconds. */
const SECONDS_FROM = 100_000_000;

const lowered: readonly string[] = ["", "false", "f", "no", "n", "off"];

/** A flag may be a boolean, a number, a time or a text; `now`: milliseconds since 1970. */
export function isFlagUp(text: string | null, reading: FlagReading, now: number): boolean {
  const bare = text?.trim().toLowerCase() ?? "";
  if (lowered.includes(bare)) return false;
  if (Number.isFinite(Number(bare))) {
    const number = Number(bare);
    if (number < SECONDS_FROM) return number !== 0;
    return holds(number < SECONDS_FROM * 1_000 ? number * 1_000 : number, reading, now);
  }
  if (!/^-?infinity$|^\d{4,}-\d\d-\d\d/.test(bare)) return true;
  return holds(timeOf(text?.trim() ?? ""), reading, now);
}

function holds(time: number | undefined, reading: FlagReading, now: number): boolean {
  return time !== undefined && (reading === "until" ? time > now : time <= now);
}
