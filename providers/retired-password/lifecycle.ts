import { aboutUser } from "../clerk/errors";
import { rollbackProblem } from "../clerk-user/rollback";
import { MigrationError } from "../errors";
import { explainDatabaseError } from "../postgres/database";
import { isDigestOut } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import { readRetired, recordNotRetired, retireDigest } from "../postgres/ledger-retired";
import { hasLedger } from "../postgres/ledger-steps";
import { readUser } from "../postgres/ledger-users";
import { fingerprintOf, readRow } from "../postgres/legacy-users";
import type { Systems } from "../systems";
import type { RetiredPasswordInputs, RetiredPasswordOutputs } from "./inputs";
import { putBack } from "./restore";
import { parseSealKey, seal } from "./seal";

/**
 * Takes a digest out of the users table, sealed in the ledger, in one transaction. What the plan has looked at is looked at
 * again: linked, arrived, not banned, the digest that was meant. Safe to repeat.
 */
export async function ensureRetired(
  systems: Systems,
  inputs: RetiredPasswordInputs,
): Promise<RetiredPasswordOutputs> {
  const owner = await systems.writer(inputs);
  const { userId } = inputs;
  const before = await readRetired(systems.database, owner, userId);
  if (before !== undefined && isDigestOut(before)) return outputsOf(owner, inputs, before.keyId);
  try {
    const key = parseSealKey(systems.settings.digestSealKey);
    const { digest, clerkUserId } = await retirable(systems, owner, inputs);
    await retireDigest(systems.database, systems.settings.table, owner, {
      userId,
      clerkUserId,
      digest,
      sealed: seal(key, userId, digest),
      keyId: key.id,
      digestFingerprint: inputs.digestFingerprint,
      attempt: inputs.attempt,
    });
    return outputsOf(owner, inputs, key.id);
  } catch (thrown) {
    const error = aboutUser(explainDatabaseError(thrown), userId);
    if (error instanceof MigrationError)
      // What went wrong matters more than that it could not be written down.
      await recordNotRetired(systems.database, owner, userId, error).catch(() => undefined);
    throw error;
  }
}

function outputsOf(
  { migrationId }: Owner,
  inputs: RetiredPasswordInputs,
  keyId: string | null,
): RetiredPasswordOutputs {
  return { ...inputs, migrationId, keyId: keyId ?? "" };
}

/** The row and the live user once more: anything may have happened since the plan was made. */
async function retirable(
  { clerk, database, settings }: Systems,
  owner: Owner,
  { userId, digestFingerprint }: RetiredPasswordInputs,
): Promise<{ readonly digest: string; readonly clerkUserId: string }> {
  const refuse = (reason: string, remedy: string) =>
    new MigrationError(
      "not-retirable",
      `User ${userId}: ${reason}, so the digest stays in the table.`,
      remedy,
    );
  const held = await readUser(database, owner, userId);
  const row = await readRow(database, settings.table, userId);
  if (held?.status !== "linked" || held.stack !== owner.stack || held.clerkUserId === null)
    throw refuse("this stack has not linked the row", "Run `up` until it is linked.");
  if (row?.clerkUserId !== held.clerkUserId)
    throw refuse("the row's link is not the one of this stack", "See what `npm run verify` says of it.");
  if (row.passwordDigest === null || fingerprintOf(userId, row.passwordDigest) !== digestFingerprint)
    throw refuse("the digest has changed since the run was planned", "The next `up` looks at it again.");
  const live = await clerk.user(held.clerkUserId);
  if (live === undefined)
    throw refuse("nobody in Clerk has the id of the link", "See what `npm run verify` says of it.");
  if (live.banned) throw refuse("the user is banned in Clerk", "Lift the ban, or leave it.");
  if (live.lastSignInAt === null)
    throw refuse("the user has not signed in with Clerk", "Retire it after the first sign-in.");
  return { digest: row.passwordDigest, clerkUserId: held.clerkUserId };
}

/**
 * Puts the digest back. The guard is the user's own: whoever will not be rolled back, because of a sign-in since, keeps
 * the digest sealed.
 */
export async function restorePassword(systems: Systems, outputs: RetiredPasswordOutputs): Promise<void> {
  if (!(await isSealedHere(systems, outputs))) return;
  const { userId } = outputs;
  const owner = await systems.writer(outputs);
  const problem = await rollbackProblem(systems, owner, userId);
  if (problem !== undefined) throw problem;
  await putBack(systems, owner, userId);
}

/** Whether a deletion would do anything. What a lost ledger has sealed is lost with it. */
export async function isSealedHere(systems: Systems, outputs: RetiredPasswordOutputs): Promise<boolean> {
  if (!(await hasLedger(systems.database))) return false;
  const owner = await systems.owner(outputs);
  const held = await readRetired(systems.database, owner, outputs.userId);
  return held !== undefined && isDigestOut(held) && held.stack === owner.stack;
}
