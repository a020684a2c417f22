import type { ClerkUserInputs } from "./clerk-user/inputs";
import type { Finding } from "./findings";
import type { NotificationInputs } from "./notification/inputs";
import type { Way } from "./postgres/ledger";
import type { RetiredPasswordInputs } from "./retired-password/inputs";
import type { Told } from "./verdicts/mails";
import type { NewPassword } from "./verdicts/new-password";
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
  /** Why the user has to set a new password; null where the old one goes on working, or one is set there already. */
  readonly newPassword: NewPassword | null;
  /** Whether the Clerk account was there before us: nobody tells its owner, and no rollback deletes it. */
  readonly isAdopted: boolean;
  /** null where the user is left out. */
  readonly declared: ClerkUserInputs | null;
  readonly told: Told;
  readonly way: Way;
  /** The mails that are out, or go out now: the one that tells, and reminders. */
  readonly notifications: readonly NotificationInputs[];
  readonly isReminderPending: boolean;
  /** A mail went to an address that the user no longer has, and no new one goes out now: its link is revoked. */
  readonly takesBack: boolean;
  /** What becomes of the digest in the table. */
  readonly retire: Retire;
  readonly retirement: RetiredPasswordInputs | null;
  /** The attempt of a mail whose outcome nobody knows and nobody can look up; 0 where there is none. */
  readonly unknownMail: number;
}

/** Decided after the verdict: who is told, and whose digest is retired. */
export type MailPart = Pick<
  PlannedUser,
  "told" | "way" | "notifications" | "isReminderPending" | "takesBack" | "unknownMail"
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

/** Whether this run tells the user: for the first time, or once more. */
export function isToldNow({ told }: Pick<PlannedUser, "told">): boolean {
  return told === "now" || told === "again";
}

/** Whether the user is to be told by this run, or by a later one. */
export function isToBeTold(user: Pick<PlannedUser, "told">): boolean {
  return isToldNow(user) || user.told === "later";
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
