import { verifyToken } from "@clerk/backend";
import { TokenVerificationError, TokenVerificationErrorReason } from "@clerk/backend/errors";
import { z } from "zod";

import { recordArrivals } from "./arrivals";
import type { Systems } from "./systems";
import { type AppUser, unlinkedUser, userByClerkId } from "./users";

/** Where Clerk's browser library keeps the session token. */
export const CLERK_COOKIE = "__session";

const claimsSchema = z.object({
  sub: z.string(),
  /** `{{user.external_id || user.id}}`, if the instance's session token is customised so. */
  userId: z.unknown().optional(),
  external_id: z.unknown().optional(),
  /** Somebody else acting as this user, e.g. a supporter. */
  act: z.unknown().optional(),
  /** `pending`: signed in, but with a task left, such as a second factor or a new password. */
  sts: z.unknown().optional(),
});

type Claims = z.infer<typeof claimsSchema>;

/** Failures that are not the token's: the client is told to come back, not to sign in. */
const ourFailures: readonly string[] = [
  TokenVerificationErrorReason.RemoteJWKFailedToLoad,
  TokenVerificationErrorReason.RemoteJWKMissing,
  TokenVerificationErrorReason.InvalidSecretKey,
];

/** The user whom a valid Clerk session token names. Coming through this door is an arrival. */
export async function userOfToken(systems: Systems, token: string | undefined): Promise<AppUser | undefined> {
  const claims = token === undefined ? undefined : await verifiedClaims(systems, token);
  if (claims === undefined || claims.sts === "pending") return undefined;
  const { database } = systems;
  const externalId = claims.userId ?? claims.external_id;
  const user = (await userByClerkId(database, claims.sub)) ?? (await unlinkedUser(database, externalId));
  if (user === undefined || user.hasArrived || claims.act !== undefined) return user;
  await recordArrivals(systems, [{ clerkUserId: claims.sub, externalId }]);
  return { ...user, hasArrived: true };
}

/** undefined where the token is not one of our instance's, or no longer good. */
async function verifiedClaims({ settings }: Systems, token: string): Promise<Claims | undefined> {
  if (!isSigned(token)) return undefined;
  try {
    const claims = await verifyToken(token, {
      secretKey: settings.clerkSecretKey,
      apiUrl: settings.clerkApiUrl,
      issuer: settings.clerkIssuerUrl,
      ...(settings.authorizedParties === undefined ? {} : { authorizedParties: settings.authorizedParties }),
    });
    return claimsSchema.parse(claims);
  } catch (error) {
    if (error instanceof TokenVerificationError && !ourFailures.includes(error.reason)) return undefined;
    throw error;
  }
}

const header = z.object({ kid: z.string() });

/** Three parts, the first of which names a key: what is none of these would only make the verification stumble. */
function isSigned(token: string): boolean {
  const parts = token.split(".");
  if (parts.length !== 3) return false;
  return parts.slice(0, 2).every(isObject) && header.safeParse(objectIn(parts[0] ?? "")).success;
}

function isObject(part: string): boolean {
  return objectIn(part) !== undefined;
}

function objectIn(part: string): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
