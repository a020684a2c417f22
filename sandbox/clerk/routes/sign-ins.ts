import { z } from "zod";

import { type Answer, type Call, json, type Route } from "../call";
import { isPassword } from "../digests";
import {
  identifierUnknown,
  invitationAccepted,
  invitationRevoked,
  invitationWithoutAccount,
  notFound,
  passwordCompromised,
  passwordIncorrect,
  passwordResetRequired,
  signInTokenRevoked,
  signInTokenUsed,
  strategyInvalid,
  ticketExpired,
  ticketInvalid,
  userBanned,
  userLocked,
} from "../errors";
import { newId } from "../ids";
import type { Instance } from "../instance";
import { parse } from "../parameters";
import type { User } from "../records";
import { openSession, sessionJson, type SignedIn } from "../sessions";
import { invitationByTicket, signInTokenByTicket } from "../tickets";
import { statusOf } from "./invitations";

const attempt = z.object({
  strategy: z.enum(["password", "ticket"]).optional(),
  identifier: z.string().optional(),
  password: z.string().optional(),
  ticket: z.string().optional(),
});

export const signInRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/client/sign_ins", handle: createSignIn },
];

/**
 * Accepts `{identifier, password}` or `{strategy: "ticket", ticket}`. The session token is
 * `client.sessions[0].last_active_token.jwt`, as it is at Clerk; `response.status` says whether there is one.
 */
async function createSignIn(instance: Instance, { body, origin }: Call): Promise<Answer> {
  const given = parse(attempt, body);
  if (given.ticket !== undefined || given.strategy === "ticket") {
    const user = redeem(instance, given.ticket ?? "");
    return json(attemptJson("sign_in_attempt", "complete", await openSession(instance, user.id, origin)));
  }
  const user = userByIdentifier(instance, given.identifier ?? "");
  if (given.password === undefined) {
    return json(
      attemptJson("sign_in_attempt", "needs_first_factor", undefined, firstFactors(instance, user)),
    );
  }
  await checkPassword(user, given.password);
  if (instance.settings.deviceTrust && !user.bypassClientTrust) {
    return json(attemptJson("sign_in_attempt", "needs_client_trust"));
  }
  return json(attemptJson("sign_in_attempt", "complete", await openSession(instance, user.id, origin)));
}

function userByIdentifier({ store }: Instance, identifier: string): User {
  const user = store.userByEmailAddress(identifier.trim()) ?? store.userByUsername(identifier.trim());
  if (!user) throw identifierUnknown();
  checkMayEnter(user);
  return user;
}

function checkMayEnter(user: User): void {
  if (user.banned) throw userBanned();
  if (user.locked) throw userLocked();
}

async function checkPassword(user: User, candidate: string): Promise<void> {
  if (!user.password) throw strategyInvalid();
  if (!(await isPassword(candidate, user.password))) throw passwordIncorrect();
  if (!user.requiresPasswordReset) return;
  const unproven = user.emailAddresses.some((address) => address.status === "reserved");
  throw unproven ? passwordResetRequired() : passwordCompromised();
}

function firstFactors({ settings }: Instance, user: User): string[] {
  return [...(user.password ? ["password", "reset_password_email_code"] : []), ...settings.emailFirstFactors];
}

/** Uses up the ticket of a sign-in token or of an invitation; each works once, and only for somebody who has an account. */
function redeem(instance: Instance, ticket: string): User {
  const { store } = instance;
  const now = instance.now();
  const token = signInTokenByTicket(instance, ticket);
  if (token) {
    if (token.status === "revoked") throw signInTokenRevoked();
    if (token.status === "accepted") throw signInTokenUsed();
    if (token.expiresAt <= now) throw ticketExpired();
    const user = store.users.get(token.userId);
    if (!user) throw notFound("user", token.userId);
    checkMayEnter(user);
    store.signInTokens.set(token.id, { ...token, status: "accepted", updatedAt: now });
    return user;
  }
  const invitation = invitationByTicket(instance, ticket);
  if (!invitation) throw ticketInvalid();
  const status = statusOf(instance, invitation);
  if (status === "revoked") throw invitationRevoked();
  if (status === "accepted") throw invitationAccepted();
  if (status === "expired") throw ticketExpired();
  const user = store.userByEmailAddress(invitation.emailAddress);
  if (!user) throw invitationWithoutAccount();
  checkMayEnter(user);
  store.invitations.set(invitation.id, { ...invitation, status: "accepted", updatedAt: now });
  return user;
}

type AttemptStatus = "complete" | "needs_first_factor" | "needs_client_trust" | "missing_requirements";

export function attemptJson(
  object: "sign_in_attempt" | "sign_up_attempt",
  status: AttemptStatus,
  signedIn?: SignedIn,
  firstFactors: readonly string[] = [],
) {
  const sessions = signedIn
    ? [{ ...sessionJson(signedIn.session), last_active_token: { object: "token", jwt: signedIn.token } }]
    : [];
  return {
    response: {
      object,
      id: newId(object === "sign_in_attempt" ? "sia" : "sua"),
      status,
      supported_first_factors: firstFactors.map((strategy) => ({ strategy })),
      created_session_id: signedIn?.session.id ?? null,
      ...(object === "sign_up_attempt" && { created_user_id: signedIn?.user.id ?? null }),
    },
    client: {
      object: "client",
      id: signedIn?.session.clientId ?? newId("client"),
      sessions,
      last_active_session_id: signedIn?.session.id ?? null,
    },
  };
}
