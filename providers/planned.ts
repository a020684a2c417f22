import type { ClerkUserInputs } from "./clerk-user/inputs";
import type { Finding } from "./findings";
import type { NotificationInputs } from "./notification/inputs";
import type { Way } from "./postgres/ledger";
import type { RetiredPasswordInputs } from "./retired-password/inputs";
import type { Told } from "./verdicts/mails";
import type { Note } from "./verdicts/notes";
import type { ReasonCode, Verdict } from "./verdicts/reasons";
import type { Retire } from "./verdicts/retire";
import type { MailFacts } from "./world";

export interface PlannedUser {
  readonly userId: string;
  /** The address, masked unless the operator asks. */
  readonly label: string;
  readonly createdAt: string;
  readonly verdict: Verdict;
  readonly code: ReasonCode;
  /** Why this verdict; empty where the verdict says it all. */
  readonly reason: string;
  readonly remedy: string;
  readonly notes: readonly Note[];
  /** null where the user is left out. */
  readonly declared: ClerkUserInputs | null;
  readonly told: Told;
  readonly way: Way;
  /** The mails that are out, or go out now: the one that tells, and reminders. */
  readonly notifications: readonly NotificationInputs[];
  readonly isReminderPending: boolean;
  /** What becomes of the digest in the table. */
  readonly retire: Retire;
  readonly retirement: RetiredPasswordInputs | null;
  /** The attempt of a mail whose outcome nobody knows and nobody can look up; 0 where there is none. */
  readonly unknownMail: number;
}

/** Decided after the verdict: who is told, and whose digest is retired. */
export type MailPart = Pick<
  PlannedUser,
  "told" | "way" | "notifications" | "isReminderPending" | "unknownMail"
>;
export type RetirePart = Pick<PlannedUser, "retire" | "retirement">;

/** Before that. */
export type JudgedUser = Omit<PlannedUser, keyof MailPart | keyof RetirePart>;

export interface Plan {
  readonly users: readonly PlannedUser[];
  readonly mails: MailFacts;
  /** How many reminders are out. */
  readonly remindersOut: number;
  readonly findings: readonly Finding[];
  /** Whom this run takes back, and why: all whom the stack holds and the program does not declare. */
  readonly removals: readonly { readonly userId: string; readonly why: "row-gone" | "forgotten" }[];
  /** The users of decisions that change nothing, any more or at all. */
  readonly idleDecisions: readonly string[];
}

export function countVerdicts({ users }: Pick<Plan, "users">): Record<Verdict, number> {
  const counts: Record<Verdict, number> = {
    create: 0,
    resume: 0,
    update: 0,
    adopt: 0,
    unchanged: 0,
    blocked: 0,
    excluded: 0,
  };
  for (const user of users) counts[user.verdict]++;
  return counts;
}

/** Of several rows with one `user_id`, the one that is declared. */
export function usersById<T extends Pick<PlannedUser, "userId" | "declared">>(
  users: readonly T[],
): ReadonlyMap<string, T> {
  const byId = new Map<string, T>();
  for (const user of users) if (user.declared !== null || !byId.has(user.userId)) byId.set(user.userId, user);
  return byId;
}
