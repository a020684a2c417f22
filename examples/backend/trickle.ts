import { setTimeout as wait } from "node:timers/promises";

import type { User } from "@clerk/backend";
import { isClerkAPIResponseError } from "@clerk/backend/errors";
import type { FastifyBaseLogger } from "fastify";
import { z } from "zod";

import { recordArrivals } from "./arrivals";
import type { Systems } from "./systems";
import { claimTrickle, confirmTrickle, forgetTrickle, readTrickle, type Trickled } from "./trickle-record";
import type { LegacyUser } from "./users";

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
  if (!systems.settings.trickle || clerkUserId === null || user.hasArrived) return;
  const trickling = setPassword(systems, userId, clerkUserId, password).catch((error: unknown) => {
    log.warn({ userId, err: error }, "the password could not be set in Clerk; the next login tries again");
  });
  await Promise.race([trickling, wait(PATIENCE_MS, undefined, { ref: false })]);
}

async function setPassword(
  systems: Systems,
  userId: string,
  clerkUserId: string,
  password: string,
): Promise<void> {
  const { clerk } = systems;
  const before = await readTrickle(systems.database, userId, clerkUserId);
  if (before === "done" || before === "not-ours") return;
  const live = await clerk.users.getUser(clerkUserId);

  switch (nextStep(userId, live, before)) {
    case "nothing":
      return;
    case "record-arrival":
      await recordArrivals(systems, [{ clerkUserId, externalId: userId }]);
      return;
    case "check": {
      // Whether a request that was cut off has set it, or the user has set another one since.
      const isOurs = await isPasswordInClerk(systems, clerkUserId, password);
      if (isOurs) await confirmTrickle(systems.database, userId, clerkUserId, passwordTime(live));
      else await forgetTrickle(systems.database, userId);
      return;
    }
    case "set": {
      if (!(await claimTrickle(systems.database, userId, clerkUserId))) return;
      const after = await clerk.users.updateUser(clerkUserId, { password, skipPasswordChecks: true });
      await confirmTrickle(systems.database, userId, clerkUserId, passwordTime(after));
    }
  }
}

type Live = Pick<User, "externalId" | "lastSignInAt" | "passwordEnabled">;

/** What a legacy login may do about the password of a live Clerk user. Whoever has one, or has been there, is left alone. */
export function nextStep(
  userId: string,
  live: Live,
  before: Trickled,
): "nothing" | "record-arrival" | "check" | "set" {
  if (live.lastSignInAt !== null) return "record-arrival";
  if (live.externalId !== userId) return "nothing";
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

const timed = z.object({ password_last_updated_at: z.number() });

/** The SDK has it in the raw answer only. */
function passwordTime(user: User): number {
  return timed.parse(user.raw).password_last_updated_at;
}
