import type { LedgerRetired, LedgerUser } from "../postgres/ledger";
import type { UserRow } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import type { Records, RetireFacts } from "../world";

/**
 * What becomes of a digest. retired, purged: it is out of the table. now: this run takes it out. The others stay: whose user
 * has not arrived, or too lately, or is banned, or while a canary cannot sign in. never: not this stack's to retire.
 */
export type Retire =
  "retired" | "purged" | "now" | "not-arrived" | "too-recent" | "banned" | "canary" | "never";

export type RetireSettings = Pick<Settings, "retirePasswords" | "retireAfterDays" | "heldOnly">;

const DAY = 24 * 3_600_000;

/** Everything that table, ledger and sign-ins decide: `now` stands for those about whom Clerk has to be asked. */
export function retireByRecord(
  row: UserRow | undefined,
  held: LedgerUser | undefined,
  entry: LedgerRetired | undefined,
  lastSignInAt: number | undefined,
  settings: RetireSettings,
  now: number,
): Retire {
  if (entry?.status === "retired" || entry?.status === "purged") return entry.status;
  if (row === undefined || held?.status !== "linked" || held.clerkUserId !== row.clerkUserId) return "never";
  if (settings.retirePasswords === "off" || settings.heldOnly || row.digest === null) return "never";
  if (lastSignInAt === undefined) return "not-arrived";
  // The first sign-in is what counts; Clerk tells only of the last, so the ledger notes when it was first seen.
  const arrivedAt = held.arrivedAt?.getTime() ?? lastSignInAt;
  return now - arrivedAt < settings.retireAfterDays * DAY ? "too-recent" : "now";
}

/** With what Clerk says of those. */
export function retireByClerk(retire: Retire, clerkUserId: string | null, facts: RetireFacts): Retire {
  if (retire !== "now" || clerkUserId === null) return retire;
  const banned = facts.banned.get(clerkUserId);
  if (banned === undefined) return "never";
  if (banned) return "banned";
  return facts.canaryProblem === "" ? "now" : "canary";
}

/** Clerk's ids of those about whom it has to be asked. */
export function retireQuestions(
  { rows, ledger, stack, now }: Records,
  arrivals: ReadonlyMap<string, number>,
  settings: RetireSettings,
): string[] {
  if (settings.retirePasswords === "off" || settings.heldOnly) return [];
  return rows.flatMap((row) => {
    const held = ledger.users.get(row.userId);
    if (row.clerkUserId === null || held?.stack !== stack) return [];
    const entry = ledger.retired.get(row.userId);
    const retire = retireByRecord(row, held, entry, arrivals.get(row.clerkUserId), settings, now);
    return retire === "now" ? [row.clerkUserId] : [];
  });
}
