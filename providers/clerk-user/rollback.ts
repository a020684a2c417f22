import type { ClerkUser } from "../clerk/user";
import { MigrationError, otherInstance } from "../errors";
import { isHeld, type LedgerUser, type Owner } from "../postgres/ledger";
import type { ConnectionSettings } from "../settings";

/** Whether the ledger still holds the user for this stack. Refuses where another instance is meant. */
export function needsRollback(held: LedgerUser, owner: Owner): boolean {
  if (!isHeld(held) || held.stack !== owner.stack) return false;
  if (held.clerkInstanceId === owner.clerkInstanceId) return true;
  throw otherInstance(`User ${held.userId}`, held.clerkInstanceId, owner.clerkInstanceId);
}

/** Whether the user has set a password of his own: one that is newer than our last write, or the first one. */
export function hasNewPassword(live: ClerkUser, held: LedgerUser | undefined): boolean {
  if (held?.status === "linked" && held.passwords === "reset") return live.passwordEnabled;
  const ours = held?.clerkPasswordAt ?? null;
  return ours !== null && (live.passwordLastUpdatedAt ?? 0) > ours;
}

/**
 * What the rollback may do with a live user of ours: delete it, unlink it (keep it, take our mark away), or
 * nothing, with the reason. Whoever has signed in, or set a new password, has made the account his own.
 */
export function rollbackChoice(
  settings: Pick<ConnectionSettings, "rollback" | "rollbackSignedIn">,
  userId: string,
  live: ClerkUser,
  held: LedgerUser | undefined,
): "delete" | "unlink" | MigrationError {
  if (live.lastSignInAt === null && !hasNewPassword(live, held)) return settings.rollback;
  if (settings.rollbackSignedIn !== "refuse") {
    return settings.rollback === "unlink" ? "unlink" : settings.rollbackSignedIn;
  }
  return new MigrationError(
    "signed-in",
    `User ${userId} has ${live.lastSignInAt === null ? "set a new password" : "signed in"} with Clerk since the migration and was not rolled back.`,
    "Keep the user, or force it for this run with ROLLBACK_SIGNED_IN=unlink (keeps the account) or ROLLBACK_SIGNED_IN=delete.",
  );
}
