import { refusal } from "./refusal";

export const notFound = (noun: string, id: string) =>
  refusal(404, "resource_not_found", "not found", `No ${noun} was found with id ${id}`);
export const lastIdentification = () =>
  refusal(
    400,
    "last_required_identification_deletion_failed",
    "Deletion failed",
    "You cannot delete your last identification.",
  );
export const duplicateInvitations = (emailAddresses: readonly string[]) =>
  refusal(
    400,
    "duplicate_record",
    "duplicate invitation",
    `There are already pending invitations for the following email addresses: ${emailAddresses.join(", ")}`,
    { email_addresses: emailAddresses },
  );
export const invitationsNotSupported = () =>
  refusal(
    400,
    "invitations_not_supported",
    "Invitations are only supported on instances that accept email addresses.",
  );
export const bulkSizeExceeded = (limit: number) =>
  refusal(
    400,
    "bulk_size_exceeded",
    "bulk size exceeded",
    `You have exceeded the maximum allowed bulk processing size of ${limit}.`,
  );
export const invitationAccepted = () =>
  refusal(400, "invitation_already_accepted", "Invitation is already accepted, try signing in instead.");
export const invitationAlreadyRevoked = () =>
  refusal(400, "invitation_already_revoked", "Invitation is already revoked.");
export const signInTokenNotRevocable = (status: string) =>
  refusal(
    400,
    "sign_in_token_cannot_be_revoked_code",
    "cannot revoke",
    `Sign in token cannot be revoked because its status is ${status}. Only pending tokens can be revoked.`,
  );
