import type { Plan } from "./planned";
import { isHeld, type Ledger } from "./postgres/ledger";
import type { ReasonCode } from "./verdicts/reasons";
import type { World } from "./world";

/** How many of the legacy users have come how far. */
export interface Funnel {
  /** Everybody who is to move, or has moved: rows with a password hash that nobody else has linked. */
  readonly legacy: number;
  /** Have a Clerk user of this stack, made or taken over. */
  readonly created: number;
  /** And their row leads to that user. */
  readonly linked: number;
  /** Of those linked: told by a mail that is out. None where nobody is told. */
  readonly told: number;
  /** Of those linked: have signed in with Clerk, told or not. */
  readonly signedIn: number;
  readonly digestsRetired: number;
  readonly digestsPurged: number;
}

/** A group of stragglers: migrated, never signed in, told (or else linked) this long ago. */
export interface Stragglers {
  readonly age: string;
  readonly users: number;
}

/** What went wrong, once for each reason. */
export interface FailureGroup {
  /** What could not be done: a user who failed, a row that is blocked, a mail that did not go out, a digest that stayed. */
  readonly what: "user" | "row" | "mail" | "digest";
  readonly reason: string;
  readonly remedy: string;
  readonly users: number;
}

/** What has become of one linked user. Times are milliseconds since 1970. */
export interface Life {
  readonly userId: string;
  readonly linkedAt: number | null;
  /** null where no mail is out. */
  readonly toldAt: number | null;
  /** The first sign-in with Clerk that a run has seen; the last one where none has. */
  readonly signedInAt: number | null;
}

export interface RetiredDigests {
  readonly retired: number;
  readonly purged: number;
}

const DAY = 86_400_000;

/** Whole groups, so that what a stack exports does not change with every day that passes. */
const ages: readonly (readonly [age: string, days: number])[] = [
  ["under 1 day", 1],
  ["1 to 3 days", 3],
  ["3 to 7 days", 7],
  ["7 to 14 days", 14],
  ["14 to 30 days", 30],
  ["over 30 days", Infinity],
];

/** Rows that were never this stack's to move. Whoever is filtered or skipped is still a legacy user. */
const outside: readonly ReasonCode[] = [
  ...(["other-stack", "linked", "linked-to-nobody", "no-digest"] as const),
  ...(["deleted", "banned", "forgotten"] as const),
];

/** One for each user whom this stack has linked. */
export function livesOf(
  { notifications, users }: Ledger,
  stack: string,
  arrivals: ReadonlyMap<string, number>,
): Life[] {
  return [...users.values()]
    .filter((user) => user.stack === stack && user.status === "linked")
    .map(({ userId, clerkUserId, linkedAt, arrivedAt }) => {
      const mail = notifications.get(userId);
      const isTold = mail?.status === "sent";
      return {
        userId,
        linkedAt: linkedAt?.getTime() ?? null,
        toldAt: isTold ? ((mail.sentAt ?? linkedAt)?.getTime() ?? 0) : null,
        signedInAt: arrivedAt?.getTime() ?? arrivals.get(clerkUserId ?? "") ?? null,
      };
    });
}

/** Whoever is taken over by this very run was asked about before it, with everything else of the person. */
export function arrivalsOf({ arrivals, clerk }: Pick<World, "arrivals" | "clerk">): Map<string, number> {
  const people = [...clerk.byAddress.values(), ...clerk.byId.values(), ...clerk.byExternalId.values()];
  const known = people.flatMap(({ id, lastSignInAt }) =>
    lastSignInAt === null ? [] : [[id, lastSignInAt] as const],
  );
  return new Map([...known, ...arrivals]);
}

export function funnelOf(
  { users }: Pick<Plan, "users">,
  ledger: Ledger,
  stack: string,
  lives: readonly Life[],
  digests: RetiredDigests = { retired: 0, purged: 0 },
): Funnel {
  const held = [...ledger.users.values()].filter((user) => user.stack === stack && isHeld(user));
  return {
    legacy: users.filter(({ code }) => !outside.includes(code)).length,
    created: held.filter(({ clerkUserId }) => clerkUserId !== null).length,
    linked: lives.length,
    told: lives.filter(({ toldAt }) => toldAt !== null).length,
    signedIn: lives.filter(({ signedInAt }) => signedInAt !== null).length,
    digestsRetired: digests.retired,
    digestsPurged: digests.purged,
  };
}

/** Every age, so that a group that empties shows as 0. */
export function stragglersOf(lives: readonly Life[], now: number): Stragglers[] {
  const counts = ages.map(() => 0);
  for (const { signedInAt, toldAt, linkedAt } of lives) {
    if (signedInAt !== null) continue;
    const days = (now - (toldAt ?? linkedAt ?? now)) / DAY;
    const group = ages.findIndex(([, end]) => days < end);
    counts[group] = (counts[group] ?? 0) + 1;
  }
  return ages.map(([age], group) => ({ age, users: counts[group] ?? 0 }));
}

interface Failed {
  readonly userId: string;
  readonly reason: string;
  readonly remedy: string;
}

/** The most frequent first. */
export function failuresByReason(failed: {
  readonly users: readonly Failed[];
  readonly rows: readonly Failed[];
  readonly mails: readonly Failed[];
  readonly digests: readonly Failed[];
}): FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  const add = (what: FailureGroup["what"], failures: readonly Failed[]) => {
    for (const failure of failures) {
      const [reason, { remedy }] = [commonReason(failure), failure];
      const key = JSON.stringify([what, reason, remedy]);
      groups.set(key, { what, reason, remedy, users: (groups.get(key)?.users ?? 0) + 1 });
    }
  };
  add("user", failed.users);
  add("row", failed.rows);
  add("mail", failed.mails);
  add("digest", failed.digests);
  return [...groups.values()].toSorted((a, b) => b.users - a.users || (a.reason < b.reason ? -1 : 1));
}

/** Without what it says of this one user or row: ids, and what stands in brackets at the end. */
export function commonReason({ userId, reason }: Pick<Failed, "userId" | "reason">): string {
  const withoutPrefix = reason.startsWith(`User ${userId}: `)
    ? reason.slice(`User ${userId}: `.length)
    : reason;
  return withoutPrefix
    .replaceAll(` ${userId} `, " … ")
    .replaceAll(` ${userId}.`, " ….")
    .replaceAll(/\buser_\w+/g, "…")
    .replace(/ \([^()]*\)(\.?)$/, "$1");
}
