import { setTimeout as wait } from "node:timers/promises";

import type { User } from "@clerk/backend";
import { isClerkAPIResponseError } from "@clerk/backend/errors";
import type { FastifyBaseLogger } from "fastify";

import { recordArrivals } from "./arrivals";
import { barNow, setBar } from "./bars";
import { factsOf, passwordTime } from "./clerk-user";
import { isMadeByMigration } from "./migration";
import { withPatience } from "./patience";
import { inTransaction, type Systems } from "./systems";
import {
  claimTrickle,
  confirmTrickle,
  forgetTrickle,
  isTrickleOpen,
  readTrickle,
  type Trickled,
} from "./trickle-record";
import { type LegacyUser, lockUser } from "./users";

/** A login waits no longer than this for Clerk. */
const PATIENCE_MS = 3_000;

/**
 * A legacy login is the one moment at which the password is known to be right: where Clerk has none, because it takes
 * no digest of this kind or was not given one, it is set there now, once. The password goes nowhere else. A failure
 * fails nothing: the next login tries again.
 */
export async function trickle(
  systems: Systems,
  user: LegacyUser,
  password: string,
  log: FastifyBaseLogger,
): Promise<void> {
  const { userId, clerkUserId } = user;
  if (clerkUserId === null || user.isClerks) return;
  const trickling = setPassword(systems, { ...user, clerkUserId }, password).catch((error: unknown) => {
    log.warn({ userId, err: error }, "the password could not be set in Clerk; the next login tries again");
  });
  await Promise.race([trickling, wait(PATIENCE_MS, undefined, { ref: false })]);
}

type Linked = LegacyUser & { readonly clerkUserId: string };

async function setPassword(
  systems: Systems,
  { userId, clerkUserId, passwordDigest }: Linked,
  password: string,
): Promise<void> {
  const { database, clerk, settings } = systems;
  // A new password whose request was cut off is looked after even where none is to be set.
  if (!settings.trickle && !(await isTrickleOpen(database, userId, clerkUserId))) return;
  const before = await readTrickle(database, userId, clerkUserId);
  if (before === "done" || before === "not-ours") return;
  const live = await withPatience(clerk.users.getUser(clerkUserId));
  const bar = await barNow(database, userId, clerkUserId, factsOf(live));
  if (bar !== undefined) {
    await setBar(database, systems, userId, clerkUserId, bar);
    return;
  }

  switch (nextStep(userId, live, before)) {
    case "nothing":
      return;
    case "record-arrival":
      await recordArrivals(systems, [{ clerkUserId, externalId: userId }]);
      return;
    case "check":
      // Whether a request that was cut off has set it, or the user has set another one since.
      if (await isPasswordInClerk(systems, clerkUserId, password)) {
        await confirmTrickle(database, userId, clerkUserId, passwordTime(live));
        return;
      }
      await forgetTrickle(database, userId);
      await setBar(database, systems, userId, clerkUserId, "password");
      return;
    case "set":
      if (!settings.trickle) return;
      // Committed before the request leaves, so that a later login finds out what became of it.
      if (!(await claimTrickle(database, userId, clerkUserId))) return;
      await inTransaction(database, async (connection) => {
        const row = await lockUser(connection, userId);
        // Changed since it was compared: the old password must not come to Clerk behind the new one.
        if (row?.passwordDigest !== passwordDigest || row.clerkUserId !== clerkUserId || row.isClerks) {
          await forgetTrickle(connection, userId);
          return;
        }
        const after = await withPatience(
          clerk.users.updateUser(clerkUserId, { password, skipPasswordChecks: true }),
        );
        await confirmTrickle(connection, userId, clerkUserId, passwordTime(after));
      });
  }
}

type Live = Pick<User, "externalId" | "lastSignInAt" | "passwordEnabled" | "privateMetadata">;

/** What a legacy login may do about the password of a live Clerk user. Whoever has one, or has been there, is left alone. */
export function nextStep(
  userId: string,
  live: Live,
  before: Trickled,
): "nothing" | "record-arrival" | "check" | "set" {
  if (live.lastSignInAt !== null) return "record-arrival";
  if (live.externalId !== userId || !isMadeByMigration(live.privateMetadata)) return "nothing";
  if (!live.passwordEnabled) return "set";
  return before === "unconfirmed" ? "check" : "nothing";
}

async function isPasswordInClerk(
  { clerk }: Systems,
  clerkUserId: string,
  password: string,
): Promise<boolean> {
  try {
    await clerk.users.verifyPassword({ userId: clerkUserId, password });
    return true;
  } catch (error) {
    if (isClerkAPIResponseError(error) && error.status === 422) return false;
    throw error;
  }
}
