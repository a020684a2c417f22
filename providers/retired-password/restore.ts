import { MigrationError } from "../errors";
import { isDigestOut } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import { readRetired, readSealed, restoreDigest } from "../postgres/ledger-retired";
import { readUser } from "../postgres/ledger-users";
import { readRow } from "../postgres/legacy-users";
import type { Systems } from "../systems";
import { parseSealKey, requireKey, unseal } from "./seal";

/** Part of a user's rollback, after its guard: the row gets its digest back. Throws where that can no longer be done. */
export async function putBack({ database, settings }: Systems, owner: Owner, userId: string): Promise<void> {
  const held = await readRetired(database, owner, userId);
  if (held === undefined || !isDigestOut(held) || held.stack !== owner.stack) return;
  // Whoever is gone from the table has no digest to get back.
  if ((await readRow(database, settings.table, userId)) === undefined) return;
  const sealed = await readSealed(database, owner, userId);
  if (held.status === "purged" || sealed === null)
    throw new MigrationError(
      "purged",
      `User ${userId}: the legacy digest has been purged, so there is no login to roll back to.`,
      "Keep the user in Clerk. To let go of it without a rollback, decide `forget` after deleting the user in Clerk.",
    );
  const key = parseSealKey(settings.digestSealKey);
  requireKey(key, userId, held.keyId);
  const user = await readUser(database, owner, userId);
  await restoreDigest(database, settings.table, owner, {
    userId,
    clerkUserId: user?.clerkUserId ?? null,
    digest: unseal(key, userId, sealed),
  });
}
