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
  const passwordAt = held?.clerkPasswordAt ?? null;
  const changedPassword = passwordAt !== null && (live.passwordLastUpdatedAt ?? 0) > passwordAt;
  if (live.lastSignInAt === null && !changedPassword) return settings.rollback;
  if (settings.rollbackSignedIn !== "refuse") {
    return settings.rollback === "unlink" ? "unlink" : settings.rollbackSignedIn;
  }
  return new MigrationError(
    "signed-in",
    `User ${userId} has ${live.lastSignInAt === null ? "set a new password" : "signed in"} with Clerk since the migration and was not rolled back.`,
    "Keep the user, or force it for this run with ROLLBACK_SIGNED_IN=unlink (keeps the account) or ROLLBACK_SIGNED_IN=delete.",
  );
}
