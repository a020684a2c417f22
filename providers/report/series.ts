const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const units = [
  { unit: "hour", length: HOUR, upTo: 2 * DAY },
  { unit: "day", length: DAY, upTo: 100 * DAY },
  { unit: "week", length: 7 * DAY, upTo: Infinity },
] as const;

export interface Period {
  /** UTC: `2026-01-31`, or `2026-01-31 14:00` for an hour. */
  readonly start: string;
  readonly migrated: number;
  readonly signedIn: number;
  /** Up to the end of the period. */
  readonly migratedInAll: number;
  readonly signedInInAll: number;
}

export interface Series {
  readonly unit: (typeof units)[number]["unit"];
  readonly periods: readonly Period[];
}

/**
 * From the first migrated user until now, in hours, days or weeks. Whoever signed in before that, as somebody who was
 * taken over may have, counts from the beginning. Times are milliseconds since 1970.
 */
export function seriesOf(migrated: readonly number[], signedIn: readonly number[], now: number): Series {
  const first = migrated.reduce((earliest, time) => Math.min(earliest, time), now);
  const { unit, length } = units.find(({ upTo }) => now - first <= upTo) ?? units[2];
  const start = Math.floor(first / length) * length;
  const count = Math.floor((now - start) / length) + 1;
  const perPeriod = (times: readonly number[]) => {
    const counts = new Array<number>(count).fill(0);
    for (const time of times) {
      const period = Math.min(count - 1, Math.max(0, Math.floor((time - start) / length)));
      counts[period] = (counts[period] ?? 0) + 1;
    }
    return counts;
  };
  const [links, signIns] = [perPeriod(migrated), perPeriod(signedIn)];
  let [migratedInAll, signedInInAll] = [0, 0];
  const periods = links.map((link, index) => {
    const signIn = signIns[index] ?? 0;
    migratedInAll += link;
    signedInInAll += signIn;
    const at = new Date(start + index * length).toISOString();
    return {
      start: unit === "hour" ? at.slice(0, 16).replace("T", " ") : at.slice(0, 10),
      migrated: link,
      signedIn: signIn,
      migratedInAll,
      signedInInAll,
    };
  });
  return { unit, periods };
}
