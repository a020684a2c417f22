import { generateKeyPairSync } from "node:crypto";

import { SignJWT } from "jose";

import type { Session, User } from "./records";

/** Clerk's session tokens live for a minute and are renewed by its browser library, which there is none of here. */
const LIFETIME_SECONDS = 3600;

export interface SessionSigner {
  /** What `GET /jwks` answers. */
  jwks(): object;
  /** The public key as PEM: `jwtKey` for `@clerk/backend`'s `verifyToken`. */
  publicKeyPem(): string;
  /** `origin`: the page that the token is made for, Clerk's `azp`. */
  sign(
    user: User,
    session: Session,
    issuer: string,
    now: number,
    origin: string | undefined,
  ): Promise<string>;
}

/** `keyId` is the instance's id, as it is at Clerk. */
export function createSessionSigner(keyId: string): SessionSigner {
  let keys: ReturnType<typeof generateKeys> | undefined;
  // Made when first needed: it takes 200 ms, and few instances see anybody sign in.
  const pair = () => (keys ??= generateKeys());

  return {
    jwks: () => ({
      keys: [{ ...pair().publicKey.export({ format: "jwk" }), kid: keyId, alg: "RS256", use: "sig" }],
    }),
    publicKeyPem: () => pair().publicKey.export({ type: "spki", format: "pem" }).toString(),
    sign(user, session, issuer, now, origin) {
      const seconds = Math.floor(now / 1000);
      // The claim Clerk's migration guide recommends: the application goes on seeing its own ids.
      return new SignJWT({ azp: origin, sid: session.id, userId: user.externalId ?? user.id })
        .setProtectedHeader({ alg: "RS256", kid: keyId, typ: "JWT" })
        .setIssuer(issuer)
        .setSubject(user.id)
        .setIssuedAt(seconds)
        .setNotBefore(seconds - 10)
        .setExpirationTime(seconds + LIFETIME_SECONDS)
        .sign(pair().privateKey);
    },
  };
}

function generateKeys() {
  return generateKeyPairSync("rsa", { modulusLength: 2048 });
}
