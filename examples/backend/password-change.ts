import { isClerkAPIResponseError } from "@clerk/backend/errors";

import { recordArrivals } from "./arrivals";
import { barNow, setBar } from "./bars";
import { factsOf, liveUser, passwordTime } from "./clerk-user";
import { Refusal } from "./errors";
import { isMadeByMigration } from "./migration";
import { isLate, withPatience } from "./patience";
import { type Database, inTransaction, type Systems } from "./systems";
import { confirmTrickle, forgetTrickle, openTrickle } from "./trickle-record";
import { type LegacyUser, lockUser, userById } from "./users";

/** Whose password may be changed, and by what: an open link, used up with it, or the digest of the old password. */
export interface Proof {
  readonly userId: string;
  readonly link?: Buffer;
  readonly digest?: string | null;
}

/**
 * Sets a new password here and in Clerk, or on neither side, and ends the sessions of the old one on both. Answers the new
 * digest; undefined where it is Clerk's business: the user has arrived, is barred, or the Clerk account is not ours. Where
 * Clerk cannot be asked it throws, and the link is open still.
 */
export async function changePassword(
  systems: Systems,
  proof: Proof,
  password: string,
  digest: string,
): Promise<string | undefined> {
  const { database, settings, clerk } = systems;
  const user = await userById(database, proof.userId);
  if (user === undefined || user.isClerks || settings.legacyLogin === "off") return undefined;
  const { userId, clerkUserId } = user;
  if (clerkUserId !== null) {
    if (!(await isOursToSet(systems, userId, clerkUserId))) return undefined;
    // Written down before the request leaves, so that its outcome is not taken for somebody else's doing.
    await openTrickle(database, userId, clerkUserId);
  }
  try {
    return await inTransaction(database, async (connection) => {
      const locked = await lockUser(connection, userId);
      const isSame = locked !== undefined && !locked.isClerks && locked.clerkUserId === clerkUserId;
      if (!isSame || !(await isStillProven(connection, proof, locked))) {
        await forgetTrickle(connection, userId);
        return undefined;
      }
      if (clerkUserId !== null) {
        const after = await withPatience(
          clerk.users.updateUser(clerkUserId, { password, signOutOfOtherSessions: true }),
        );
        await confirmTrickle(connection, userId, clerkUserId, passwordTime(after));
      }
      await connection.query("update users set password_hash = $2 where user_id = $1", [userId, digest]);
      await connection.query("delete from app_sessions where user_id = $1", [userId]);
      return digest;
    });
  } catch (error) {
    if (wasRefused(error)) await forgetTrickle(database, userId);
    throw asRefusal(error);
  }
}

/** False where Clerk alone decides about the password, which is then written down. */
async function isOursToSet(systems: Systems, userId: string, clerkUserId: string): Promise<boolean> {
  const { database, clerk } = systems;
  const user = await liveUser(clerk, clerkUserId).catch((error: unknown) => {
    throw asRefusal(error);
  });
  if (user !== undefined && user.lastSignInAt !== null) {
    await recordArrivals(systems, [{ clerkUserId, externalId: userId }]);
    return false;
  }
  const bar = user === undefined ? "deleted" : await barNow(database, userId, clerkUserId, factsOf(user));
  if (user === undefined || bar !== undefined) {
    await setBar(database, systems, userId, clerkUserId, bar);
    return false;
  }
  return user.externalId === userId && isMadeByMigration(user.privateMetadata);
}

/** Uses the link up. Of two changes that come at once, the second finds that its proof is gone. */
async function isStillProven(
  connection: Database,
  { link, digest }: Proof,
  user: LegacyUser,
): Promise<boolean> {
  if (link === undefined) return digest === user.passwordDigest;
  const { rowCount } = await connection.query(
    "delete from password_resets where token_hash = $1 and user_id = $2 and expires_at > now()",
    [link, user.userId],
  );
  return rowCount === 1;
}

/** Clerk has said no: nothing was set. */
function wasRefused(error: unknown): boolean {
  return isClerkAPIResponseError(error) && error.status >= 400 && error.status < 500;
}

/** Nothing is changed here. Where the answer alone was lost, the same request again brings both sides together. */
function asRefusal(error: unknown): unknown {
  if (!isClerkAPIResponseError(error) && !isLate(error)) return error;
  if (isClerkAPIResponseError(error) && error.errors.some(({ code }) => code.startsWith("form_password_"))) {
    return new Refusal(400, "This password is too weak or too well known. Choose another one.");
  }
  return new Refusal(503, "The password cannot be changed now. Try again.", { cause: error });
}
