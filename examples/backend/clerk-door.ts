import { verifyJwt } from "@clerk/backend/jwt";
import { z } from "zod";

import { recordArrivals } from "./arrivals";
import { storable } from "./bodies";
import { Refusal } from "./errors";
import type { Systems } from "./systems";
import { type AppUser, unlinkedUser, userByClerkId } from "./users";

const claimsSchema = z.object({
  sub: storable,
  /** Tokens of a template, and machines' tokens, are signed with the same key and have no session. */
  sid: z.string(),
  /** `{{user.external_id || user.id}}`, if the instance's session token is customised so. */
  userId: z.unknown().optional(),
  external_id: z.unknown().optional(),
  /** Somebody else acting as this user, e.g. a supporter. */
  act: z.unknown().optional(),
  /** `pending`: signed in, but with a task left, such as a second factor or a new password. */
  sts: z.unknown().optional(),
});

type Claims = z.infer<typeof claimsSchema>;

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

/** undefined where the token is not one of our instance's and front ends', or no longer good. */
async function verifiedClaims({ settings, findKey }: Systems, token: string): Promise<Claims | undefined> {
  const kid = keyNameOf(token);
  if (kid === undefined) return undefined;
  const key = await findKey(kid).catch((cause: unknown) => {
    // Not the token's fault: the client is told to come back, not to sign in.
    throw new Refusal(503, "Sessions cannot be checked now. Try again.", { cause });
  });
  if (key === undefined) return undefined;
  const claims = await verifyJwt(token, {
    key: { ...key, alg: "RS256" },
    issuer: settings.clerkIssuerUrl,
    authorizedParties: [...settings.authorizedParties],
    // The key is at hand, so whatever fails is the token's fault. Asking for the error's class would go wrong: Clerk's
    // library brings one to each of its bundles.
  }).catch(() => undefined);
  return claimsSchema.safeParse(claims).data;
}

const header = z.object({ kid: z.string().min(1), alg: z.literal("RS256") });

/** Which key a token says it is signed with; undefined where it is no token. */
function keyNameOf(token: string): string | undefined {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  return header.safeParse(jsonIn(parts[0] ?? "")).data?.kid;
}

function jsonIn(part: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return value;
  } catch {
    return undefined;
  }
}
