import { z } from "zod";

import { type Answer, type Call, json, type Route } from "../call";
import {
  invitationAccepted,
  invitationRevoked,
  signInTokenNotInSignIn,
  signUpRestricted,
  taken,
  ticketExpired,
  ticketInvalid,
} from "../errors";
import type { Instance } from "../instance";
import { parse } from "../parameters";
import type { Invitation } from "../records";
import { openSession } from "../sessions";
import { invitationByTicket, signInTokenByTicket } from "../tickets";
import { createUser } from "./create-user";
import { statusOf } from "./invitations";
import { attemptJson } from "./sign-ins";

const attempt = z.object({
  strategy: z.enum(["ticket"]).optional(),
  ticket: z.string().optional(),
  email_address: z.string().optional(),
  password: z.string().optional(),
  first_name: z.string().optional(),
  last_name: z.string().optional(),
});

export const signUpRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/client/sign_ups", handle: createSignUp },
];

/** For people who are new here, with or without an invitation. Nobody proves an address by a code: it counts as proven. */
async function createSignUp(instance: Instance, { body, origin }: Call): Promise<Answer> {
  const given = parse(attempt, body);
  const invitation = given.ticket === undefined ? undefined : pendingInvitation(instance, given.ticket);
  if (!invitation && instance.settings.signUpMode !== "public") throw signUpRestricted();
  const emailAddress = invitation?.emailAddress ?? given.email_address;
  if (emailAddress !== undefined && instance.store.userByEmailAddress(emailAddress))
    throw taken("email_address");
  const incomplete =
    emailAddress === undefined || (instance.settings.attributes.password.required && !given.password);
  if (incomplete) return json(attemptJson("sign_up_attempt", "missing_requirements"));
  const user = await createUser(
    instance,
    {
      email_address: [emailAddress],
      password: given.password,
      first_name: given.first_name,
      last_name: given.last_name,
      public_metadata: invitation?.publicMetadata ?? {},
      private_metadata: {},
      unsafe_metadata: {},
    },
    invitation ? "ticket" : "admin",
  );
  if (invitation) {
    const accepted: Invitation = { ...invitation, status: "accepted", updatedAt: instance.now() };
    instance.store.invitations.set(accepted.id, accepted);
  }
  return json(attemptJson("sign_up_attempt", "complete", await openSession(instance, user.id, origin)));
}

function pendingInvitation(instance: Instance, ticket: string): Invitation {
  if (signInTokenByTicket(instance, ticket)) throw signInTokenNotInSignIn();
  const invitation = invitationByTicket(instance, ticket);
  if (!invitation) throw ticketInvalid();
  const status = statusOf(instance, invitation);
  if (status === "revoked") throw invitationRevoked();
  if (status === "accepted") throw invitationAccepted();
  if (status === "expired") throw ticketExpired();
  return invitation;
}
