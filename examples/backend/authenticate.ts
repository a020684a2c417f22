import type { FastifyRequest } from "fastify";

import { userOfToken } from "./clerk-door";
import { CLERK_COOKIE, cookieOf, sessionCookie } from "./cookies";
import { Refusal } from "./errors";
import { userOfSession } from "./sessions";
import type { Systems } from "./systems";
import type { AppUser } from "./users";

export interface Authenticated {
  readonly user: AppUser;
  readonly door: "clerk" | "legacy";
}

export type Authenticate = (request: FastifyRequest) => Promise<Authenticated>;

/** Clerk's door first; the legacy session only where there is no valid Clerk session. */
export function authenticateWith(systems: Systems): Authenticate {
  return async (request) => {
    const arrived = await userOfToken(systems, bearerToken(request) ?? cookieOf(request, CLERK_COOKIE));
    if (arrived !== undefined) return { user: arrived, door: "clerk" };
    const user = await userOfSession(systems, cookieOf(request, sessionCookie(systems.settings)));
    if (user !== undefined) return { user, door: "legacy" };
    throw new Refusal(401, "Sign in first.");
  };
}

function bearerToken(request: FastifyRequest): string | undefined {
  return /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
}
