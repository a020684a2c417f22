import { type ClerkUser, isOurMark, type MarkOwner } from "../clerk/user";

/**
 * Why a Clerk user must not be taken over for a legacy user; undefined where it may. The address has to be proven
 * there, and the account must not be anybody else's.
 */
export function adoptionProblem(
  live: ClerkUser,
  userId: string,
  address: string,
  owner: MarkOwner,
): string | undefined {
  if (live.externalId !== null && live.externalId !== userId) {
    return `it carries the external id ${live.externalId}`;
  }
  if (live.mark !== null && !isOurMark(live.mark, owner)) {
    return `it belongs to ${live.mark.stack === undefined ? "another migration" : `the stack ${live.mark.stack}`}`;
  }
  const email = live.emails.find((candidate) => candidate.address.toLowerCase() === address);
  if (email === undefined) return "it has another address";
  return email.isVerified ? undefined : "its address is not verified";
}
