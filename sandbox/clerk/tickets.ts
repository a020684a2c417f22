import type { Instance } from "./instance";
import type { Invitation, SignInToken } from "./records";

/** The link in a mail. It leads through Clerk, which sends the browser on with the ticket. */
export function ticketUrl(instance: Instance, ticket: string): string {
  return `${instance.issuer}/v1/tickets/accept?ticket=${ticket}`;
}

export function invitationByTicket({ store }: Instance, ticket: string): Invitation | undefined {
  return [...store.invitations.values()].find((invitation) => invitation.ticket === ticket);
}

export function signInTokenByTicket({ store }: Instance, ticket: string): SignInToken | undefined {
  return [...store.signInTokens.values()].find((token) => token.token === ticket);
}
