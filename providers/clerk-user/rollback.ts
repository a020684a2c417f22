import { type ClerkUser, isOurs, type Mark } from "../clerk/user";
import { MigrationError, otherInstance } from "../errors";
import { isHeld, type LedgerUser, type Owner } from "../postgres/ledger";
import { readUser, recordRolledBack, unlinkUser } from "../postgres/ledger-users";
import { putBack } from "../retired-password/restore";
import type { ConnectionSettings } from "../settings";
import type { Systems } from "../systems";
import type { ClerkUserOutputs } from "./inputs";

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

/** Rolls one user back: only what we own, guard first. Safe to repeat; what is gone already is a success. */
export async function deleteUser(systems: Systems, outputs: ClerkUserOutputs): Promise<void> {
  const owner = await systems.writer(outputs.stack);
  const mark: Mark = { project: outputs.project, stack: outputs.stack };
  await rollBackUser(systems, owner, mark, outputs);
}

/** The same for the sweep of the `migration` resource, which knows the ledger only. */
export async function rollBackUser(
  systems: Systems,
  owner: Owner,
  mark: Mark,
  recorded: Recorded,
): Promise<void> {
  const { clerk, database, settings } = systems;
  const { userId } = recorded;
  const found = await look(systems, owner, mark, recorded);
  if (found === undefined) return;
  const { held, known, live, ours, isAdopted, choice } = found;
  if (live !== undefined && ours === undefined && !isAdopted) {
    systems.warn(
      `User ${userId}: the Clerk user ${live.id} no longer carries our mark, so it is left alone.`,
    );
  }
  if (choice instanceof MigrationError) throw choice;

  // While the link still says whose row it is.
  await putBack(systems, owner, userId);
  const clerkUserId = ours?.id ?? known;
  if (
    clerkUserId !== null &&
    !(await unlinkUser(database, settings.table, userId, clerkUserId)) &&
    held?.status === "linked"
  ) {
    systems.warn(`User ${userId}: the row's clerk_user_id is no longer ours, so it is left as it is.`);
  }
  if (isAdopted) await giveBack(systems, userId, live, mark, held);
  else if (ours !== undefined && choice === "delete") await clerk.deleteUser(ours.id);
  else if (ours !== undefined) await clerk.setMark(ours.id, null);
  await recordRolledBack(database, userId);
}

/** Why this user will not be rolled back; undefined where nothing speaks against it. */
export async function rollbackProblem(
  systems: Systems,
  owner: Owner,
  { userId, project, stack }: Pick<ClerkUserOutputs, "userId" | "project" | "stack">,
): Promise<MigrationError | undefined> {
  const held = await readUser(systems.database, userId);
  if (held === undefined) return undefined;
  const found = await look(systems, owner, { project, stack }, held);
  return found?.choice instanceof MigrationError ? found.choice : undefined;
}

type Recorded = Pick<LedgerUser, "userId" | "clerkUserId" | "origin">;

/** Whom a rollback is about, and what it may do; undefined where there is nothing to roll back. */
async function look({ clerk, database, settings }: Systems, owner: Owner, mark: Mark, recorded: Recorded) {
  const { userId } = recorded;
  const held = await readUser(database, userId);
  if (held !== undefined && !needsRollback(held, owner)) return undefined;

  // The state may name a user of an earlier life: where the ledger holds this one, it alone knows.
  const known = held === undefined ? recorded.clerkUserId : held.clerkUserId;
  const named = known === null ? undefined : await clerk.user(known);
  // A create that was cut off may have left somebody whom nobody wrote down.
  const isUnwritten = named === undefined && (known === null || held?.status === "creating");
  const live = isUnwritten ? await clerk.userByExternalId(userId) : named;
  const ours = live !== undefined && isOurs(live, userId, mark) ? live : undefined;
  const isAdopted = (held ?? recorded).origin === "adopted" || ours?.mark?.adopted === true;
  // Whoever was adopted loses nothing by it, so there is nothing to guard.
  const choice =
    ours === undefined || isAdopted ? ("delete" as const) : rollbackChoice(settings, userId, ours, held);
  return { held, known, live, ours, isAdopted, choice };
}

/** An adopted user gets back what the adoption changed: no mark, and no external id where there was none. */
async function giveBack(
  { clerk }: Systems,
  userId: string,
  live: ClerkUser | undefined,
  mark: Mark,
  held: LedgerUser | undefined,
): Promise<void> {
  if (live?.externalId !== userId) return;
  if (isOurs(live, userId, mark)) await clerk.setMark(live.id, null);
  if (held?.isExternalIdSet === true) await clerk.setExternalId(live.id, null);
}
