import { tooManyRequests } from "./errors";

/** What Clerk allows. Rates are counted over a sliding window. */
export interface Limits {
  /** Of the whole instance, per 10 s. */
  readonly requestsPer10s: number;
  /** PATCH of one user, and PATCH and PUT of one user's metadata: each per 10 s. */
  readonly updatesPerUserPer10s: number;
  readonly invitationsPerHour: number;
  readonly bulkInvitationsPerHour: number;
  readonly invitationsPerBulk: number;
  readonly users: number;
  /** Further mails of the month are dropped without a word. */
  readonly mailsPerMonth: number;
  readonly metadataBytes: number;
  /** Values of one filter of `GET /users`. */
  readonly filterValues: number;
}

const SAME_EVERYWHERE = {
  updatesPerUserPer10s: 10,
  invitationsPerHour: 100,
  bulkInvitationsPerHour: 25,
  invitationsPerBulk: 10,
  metadataBytes: 8192,
  filterValues: 100,
};

export const LIMITS: Readonly<Record<"development" | "production", Limits>> = {
  development: { ...SAME_EVERYWHERE, requestsPer10s: 100, users: 100, mailsPerMonth: 100 },
  production: { ...SAME_EVERYWHERE, requestsPer10s: 1000, users: Infinity, mailsPerMonth: Infinity },
};

const TEN_SECONDS = 10_000;
const HOUR = 3_600_000;

const USER_UPDATES: ReadonlySet<string> = new Set([
  "PATCH /users/{user_id}",
  "PATCH /users/{user_id}/metadata",
  "PUT /users/{user_id}/metadata",
]);

export interface RateLimiter {
  /** Counts a request, or throws a 429. `subject` is the user it is about, if it is about one. */
  admit(kind: string, subject: string | undefined): void;
  /** Clerk refuses everything further at this endpoint for as long as its last 429 said. */
  block(kind: string, seconds: number): void;
}

export function createRateLimiter(limits: Limits, now: () => number): RateLimiter {
  const windows = new Map<string, number[]>();
  const blockedUntil = new Map<string, number>();

  function refuse(blocked: string, until: number): never {
    blockedUntil.set(blocked, until);
    throw tooManyRequests(secondsUntil(until));
  }

  function secondsUntil(until: number): number {
    return Math.max(1, Math.ceil((until - now()) / 1000));
  }

  return {
    admit(kind, subject) {
      // Clerk documents no limit for this one.
      if (kind === "GET /jwks") return;
      const rules = rulesFor(kind, subject, limits);
      for (const { key } of rules) {
        const until = blockedUntil.get(`${kind} ${key}`) ?? blockedUntil.get(kind) ?? 0;
        if (until > now()) throw tooManyRequests(secondsUntil(until));
      }
      for (const rule of rules) {
        const times = windows.get(rule.key) ?? [];
        while (times.length > 0 && (times[0] ?? 0) <= now() - rule.windowMs) times.shift();
        windows.set(rule.key, times);
        const oldest = times[0] ?? now();
        if (times.length >= rule.limit) {
          const seconds = secondsUntil(oldest + rule.windowMs);
          refuse(rule.key === kind || rule.key === "" ? kind : `${kind} ${rule.key}`, now() + seconds * 1000);
        }
      }
      for (const { key } of rules) windows.get(key)?.push(now());
    },
    block(kind, seconds) {
      blockedUntil.set(kind, now() + seconds * 1000);
    },
  };
}

interface Rule {
  /** What is counted together: `""` the instance, else an endpoint, or an endpoint and a user. */
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
}

function rulesFor(kind: string, subject: string | undefined, limits: Limits): Rule[] {
  const rules: Rule[] = [{ key: "", limit: limits.requestsPer10s, windowMs: TEN_SECONDS }];
  if (kind === "POST /invitations")
    rules.push({ key: kind, limit: limits.invitationsPerHour, windowMs: HOUR });
  if (kind === "POST /invitations/bulk") {
    rules.push({ key: kind, limit: limits.bulkInvitationsPerHour, windowMs: HOUR });
  }
  if (USER_UPDATES.has(kind) && subject !== undefined) {
    rules.push({ key: `${kind} ${subject}`, limit: limits.updatesPerUserPer10s, windowMs: TEN_SECONDS });
  }
  return rules;
}
