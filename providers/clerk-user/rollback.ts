import { type ClerkUser, isOurs } from "../clerk/user";
import { MigrationError, otherInstance } from "../errors";
import { isHeld, type LedgerUser } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import { hasLedger } from "../postgres/ledger-steps";
import { readUser, recordRolledBack, unlinkUser } from "../postgres/ledger-users";
import { readRow } from "../postgres/legacy-users";
import { putBack } from "../retired-password/restore";
import type { ConnectionSettings } from "../settings";
import type { Systems } from "../systems";
import { giveBack } from "./adoption";
import { eraseUser, isAdoptedAccount } from "./erase";
import { unknownHere } from "./failures";
import type { ClerkUserOutputs } from "./inputs";

/** Whether the ledger still holds the user for this stack. Whom it gives to another one is released: nothing is done. */
export function needsRollback(held: LedgerUser, owner: Owner): boolean {
  return isHeld(held) && held.stack === owner.stack;
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
  refuseKept(systems, outputs.userId);
  if (!(await isKnownHere(systems, outputs))) return;
  await rollBackUser(systems, await systems.writer(outputs), outputs);
}

function refuseKept(systems: Systems, userId: string): void {
  const kept = systems.decisions().get(userId)?.keep;
  if (kept === undefined) return;
  throw new MigrationError(
    "kept",
    `User ${userId} is kept by a decision (${kept}) and was not rolled back.`,
    "Take `keep` out of decisions.yaml to roll the user back.",
  );
}

/** Whether a deletion would do anything: the ledger holds the user, or does not know it. */
export async function isHeldHere(systems: Systems, outputs: ClerkUserOutputs): Promise<boolean> {
  if (!(await hasLedger(systems.database))) return true;
  const owner = await systems.owner(outputs);
  const held = await readUser(systems.database, owner, outputs.userId);
  return held === undefined || needsRollback(held, owner);
}

/**
 * State and mark alone are no proof: they may be read beside another database. The ledger has to know the user, or the row has to
 * be linked to that very Clerk user. False where there is nothing to roll back on either side.
 */
async function isKnownHere(systems: Systems, outputs: ClerkUserOutputs): Promise<boolean> {
  const { clerk, database, settings } = systems;
  const { userId, clerkUserId } = outputs;
  const { id } = await systems.instance();
  if (outputs.clerkInstanceId !== id && outputs.clerkInstanceId !== "")
    throw otherInstance(`User ${userId}`, outputs.clerkInstanceId, id);
  const owner = await systems.owner(outputs);
  if ((await hasLedger(database)) && (await readUser(database, owner, userId)) !== undefined) return true;
  if ((await readRow(database, settings.table, userId))?.clerkUserId === clerkUserId) return true;
  if ((await clerk.user(clerkUserId)) === undefined) return false;
  throw unknownHere(userId, `the Clerk user ${clerkUserId}`);
}

/** The same for the sweep of the `migration` resource, which knows the ledger only. */
export async function rollBackUser(systems: Systems, owner: Owner, recorded: Recorded): Promise<void> {
  const { clerk, database, settings } = systems;
  const { userId } = recorded;
  const found = await look(systems, owner, recorded);
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
    !(await unlinkUser(database, settings.table, owner, userId, clerkUserId)) &&
    held?.status === "linked"
  ) {
    systems.warn(`User ${userId}: the row's clerk_user_id is no longer ours, so it is left as it is.`);
  }
  if (live !== undefined && isAdopted) await giveBack(clerk, live, userId, owner, held);
  else if (ours !== undefined && choice === "delete") await eraseUser(systems, owner, userId, ours);
  else if (ours !== undefined) await clerk.setMark(ours.id, null);
  await recordRolledBack(database, owner, userId);
}

/** Why this user will not be rolled back; undefined where nothing speaks against it. */
export async function rollbackProblem(
  systems: Systems,
  owner: Owner,
  userId: string,
): Promise<MigrationError | undefined> {
  const held = await readUser(systems.database, owner, userId);
  if (held === undefined) return undefined;
  const found = await look(systems, owner, held);
  return found?.choice instanceof MigrationError ? found.choice : undefined;
}

type Recorded = Pick<LedgerUser, "userId" | "clerkUserId" | "origin">;

/** Whom a rollback is about, and what it may do; undefined where there is nothing to roll back. */
async function look({ clerk, database, settings }: Systems, owner: Owner, recorded: Recorded) {
  const { userId } = recorded;
  const held = await readUser(database, owner, userId);
  if (held !== undefined && !needsRollback(held, owner)) return undefined;

  // The state may name a user of an earlier life: where the ledger holds this one, it alone knows.
  const known = held === undefined ? recorded.clerkUserId : held.clerkUserId;
  const named = known === null ? undefined : await clerk.user(known);
  // A create that was cut off may have left somebody whom nobody wrote down.
  const isUnwritten = named === undefined && (known === null || held?.status === "creating");
  const live = isUnwritten ? await clerk.userByExternalId(userId) : named;
  const ours = live !== undefined && isOurs(live, userId, owner) ? live : undefined;
  const isAdopted =
    live === undefined ? (held ?? recorded).origin === "adopted" : isAdoptedAccount(live, held, recorded);
  // Whoever was adopted loses nothing by it, so there is nothing to guard.
  const choice =
    ours === undefined || isAdopted ? ("delete" as const) : rollbackChoice(settings, userId, ours, held);
  return { held, known, live, ours, isAdopted, choice };
}
