import { type ClerkUser, isOurs, type MarkOwner } from "../clerk/user";
import { MigrationError } from "../errors";
import type { LedgerUser } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import { readUser } from "../postgres/ledger-users";
import type { Systems } from "../systems";

/**
 * The only function that deletes a Clerk user. Looks once more at the live user and the ledger, and refuses whoever was
 * there before us, and whoever this program cannot prove to have made. `judged` is the user as the caller has looked at
 * it. Safe to repeat; what is gone already is a success.
 */
export async function eraseUser(
  systems: Systems,
  owner: Owner,
  userId: string,
  judged: ClerkUser,
): Promise<void> {
  // Clerk's lists may lag behind its writes: one who was made a moment ago may not be there yet.
  const live = (await systems.clerk.user(judged.id)) ?? judged;
  const held = await readUser(systems.database, owner, userId);
  const problem = eraseProblem(userId, live, held, owner) ?? arrivedMeanwhile(userId, judged, live);
  if (problem !== undefined) throw problem;
  await systems.clerk.deleteUser(live.id);
}

type Memory = Pick<LedgerUser, "origin" | "clerkUserId">;

/** Whether the account was there before us: the mark says so, or what remembers this very account (ledger, state). */
export function isAdoptedAccount(live: ClerkUser, ...memories: readonly (Memory | undefined)[]): boolean {
  if (live.mark?.adopted === true) return true;
  return memories.some(
    (memory) => memory?.origin === "adopted" && (memory.clerkUserId ?? live.id) === live.id,
  );
}

/** Why this Clerk user must not be deleted; undefined where it was made by this program for this row. */
export function eraseProblem(
  userId: string,
  live: ClerkUser,
  held: LedgerUser | undefined,
  owner: MarkOwner,
): MigrationError | undefined {
  if (isAdoptedAccount(live, held)) {
    return new MigrationError(
      "erase-adopted",
      `The Clerk user ${live.id} was there before user ${userId} adopted it, so it is not deleted.`,
      "Run the command again: an adopted account is given back as it was.",
    );
  }
  if (isOurs(live, userId, owner)) return undefined;
  return new MigrationError(
    "erase-unproven",
    `The Clerk user ${live.id} does not carry both external id and mark of user ${userId}, so it is not deleted.`,
    "If it is to go, delete it in Clerk's dashboard, and run the command again.",
  );
}

function arrivedMeanwhile(userId: string, judged: ClerkUser, live: ClerkUser): MigrationError | undefined {
  if (judged.lastSignInAt !== null || live.lastSignInAt === null) return undefined;
  return new MigrationError(
    "signed-in",
    `User ${userId} has signed in with Clerk at this very moment, so the Clerk user ${live.id} is not deleted.`,
    "Run the command again: `up` links the user, and a rollback says how it is forced.",
  );
}
