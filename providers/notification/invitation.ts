import type { Clerk } from "../clerk/client";
import { ClerkError, isOutcomeUnknown } from "../clerk/errors";
import { isOurMark, type MarkOwner } from "../clerk/user";
import type { NotificationKey } from "../postgres/ledger-notifications";
import type { Delivery } from "./way";

/** Clerk's own mail to an address that has an account already: ours. */
export const invitation: Delivery = {
  canLookUp: true,

  find: ({ clerk }, owner, inputs, email) => findInvitation(clerk, owner, inputs, email),

  async send({ clerk, settings }, { migrationId }, { userId, number, redirectUrl }, { email }) {
    try {
      const { id } = await clerk.createInvitation({
        emailAddress: email,
        redirectUrl: redirectUrl || null,
        expiresInDays: settings.linkExpiresInDays,
        mark: { migration: migrationId, userId, ...(number === 0 ? {} : { number }) },
      });
      return { status: "sent", credentialId: id };
    } catch (error) {
      if (!(error instanceof ClerkError)) throw error;
      return { status: isOutcomeUnknown(error) ? "unknown" : "failed", failure: error };
    }
  },

  async revoke({ clerk }, credentialId) {
    await clerk.revokeInvitation(credentialId);
  },
};

/** The id of our invitation at this address, unless it is revoked. */
export async function findInvitation(
  clerk: Clerk,
  owner: MarkOwner,
  { userId, number }: NotificationKey,
  email: string,
): Promise<string | undefined> {
  const found = (await clerk.invitationsTo(email)).find(
    ({ mark }) => mark !== null && isOurMark(mark, owner) && mark.userId === userId && mark.number === number,
  );
  return found?.id;
}
