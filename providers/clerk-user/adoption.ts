import type { Clerk } from "../clerk/client";
import { type ClerkUser, isAdopted, isOurMark, type MarkOwner } from "../clerk/user";
import type { LedgerUser } from "../postgres/ledger";

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

/** Whether the external id there is ours, or is about to be. The mark knows it even where the ledger is lost. */
export function setsExternalId(live: ClerkUser, held: LedgerUser | undefined): boolean {
  if (live.mark?.externalIdSet !== undefined) return live.mark.externalIdSet;
  return live.externalId === null || (held?.clerkUserId === live.id && held.isExternalIdSet);
}

/** Mark first, then external id: wherever it is cut off, the account says that it was there before us. Safe to repeat. */
export async function takeOver(
  clerk: Clerk,
  live: ClerkUser,
  userId: string,
  { migrationId }: MarkOwner,
  externalIdSet: boolean,
): Promise<ClerkUser> {
  const isMarked = live.mark?.adopted === true && live.mark.externalIdSet === externalIdSet;
  const marked = isMarked
    ? live
    : await clerk.setMark(live.id, { migration: migrationId, adopted: true, externalIdSet });
  return marked.externalId === null ? clerk.setExternalId(live.id, userId) : marked;
}

/** The way back, in the opposite order: the account is as it was, or says still that it is adopted. Safe to repeat. */
export async function giveBack(
  clerk: Clerk,
  live: ClerkUser,
  userId: string,
  owner: MarkOwner,
  held: LedgerUser | undefined,
): Promise<void> {
  const isTaken = isAdopted(live, userId, owner);
  // An earlier version wrote the external id first and took the mark away first.
  const isBetween = live.mark === null && live.externalId === userId && held?.clerkUserId === live.id;
  if (!isTaken && !isBetween) return;
  if (live.externalId === userId && setsExternalId(live, held)) await clerk.setExternalId(live.id, null);
  if (isTaken) await clerk.setMark(live.id, null);
}
