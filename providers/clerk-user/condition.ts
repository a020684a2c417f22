import { type ClerkUser, isOurs, type Mark } from "../clerk/user";
import { type Condition, normalEmail } from "./inputs";

/** The row as the user is meant to be: a decision may have given another address. */
export function withDecidedEmail<T extends { readonly email: string | null }>(
  row: T | undefined,
  decidedEmail: string,
): T | undefined {
  return row === undefined || decidedEmail === "" ? row : { ...row, email: decidedEmail };
}

export function conditionOf(
  userId: string,
  row: { clerkUserId: string | null; email: string | null } | undefined,
  live: ClerkUser | undefined,
  mark: Mark,
): Condition {
  if (row === undefined) return "row-gone";
  if (live === undefined) return "gone";
  if (!isOurs(live, userId, mark)) return "not-ours";
  if (row.clerkUserId === null) return "unlinked";
  if (row.clerkUserId !== live.id) return "relinked";
  if (live.banned) return "banned";
  if (live.locked) return "locked";
  return live.primaryEmail === normalEmail(row.email ?? "") ? "ok" : "email-changed";
}

export function signInTime(live: ClerkUser): string {
  return live.lastSignInAt === null ? "" : new Date(live.lastSignInAt).toISOString();
}
