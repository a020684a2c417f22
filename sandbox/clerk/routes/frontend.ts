import { html, json, type Route } from "../call";
import { environmentJson } from "../environment";
import { invitationRevoked, ticketInvalid } from "../errors";
import { signInPage } from "../page";
import { invitationByTicket, signInTokenByTicket } from "../tickets";
import { signInRoutes } from "./sign-ins";
import { signUpRoutes } from "./sign-ups";

/** The Frontend API, as far as people moving to Clerk meet it. Nobody needs a key here. */
export const frontendRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/environment", handle: (instance) => json(environmentJson(instance)) },
  { method: "GET", path: "/.well-known/jwks.json", handle: ({ signer }) => json(signer.jwks()) },
  {
    // Where the links in mails lead.
    method: "GET",
    path: "/v1/tickets/accept",
    handle(instance, { query }) {
      const ticket = query.get("ticket") ?? "";
      const invitation = invitationByTicket(instance, ticket);
      if (!invitation && !signInTokenByTicket(instance, ticket)) throw ticketInvalid();
      if (invitation?.status === "revoked") throw invitationRevoked();
      const hasAccount =
        !invitation || instance.store.userByEmailAddress(invitation.emailAddress) !== undefined;
      const target = new URL(invitation?.redirectUrl ?? "/sign-in", instance.issuer);
      target.searchParams.set("__clerk_ticket", ticket);
      target.searchParams.set("__clerk_status", hasAccount ? "sign_in" : "sign_up");
      return { ...json({}, 307), headers: { location: target.href } };
    },
  },
  {
    method: "GET",
    path: "/sign-in",
    handle: (_instance, { query }) =>
      html(signInPage(query.get("__clerk_ticket"), query.get("__clerk_status"))),
  },
  ...signInRoutes,
  ...signUpRoutes,
];
