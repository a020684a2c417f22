import type { ClerkFacts } from "../clerk/facts";
import { addressOrDomain, type Profile } from "../clerk-user/inputs";
import { phoneNumberOf } from "../clerk-user/phone";
import type { UserRow } from "../postgres/legacy-users";

/** What is worth knowing of a user beside the verdict. */
export type Note =
  "normalised" | "weak-digest" | "restricted" | "invited-by-others" | "unusable-date" | "trunk-zero";

/** OWASP's password storage cheat sheet asks for 10 at least. */
const STRONG_COST = 10;

export function notesOf(
  { environment, allowlist, blocklist }: ClerkFacts,
  row: UserRow,
  profile: Profile,
): Note[] {
  const notes: Note[] = [];
  if (row.email !== profile.email) notes.push("normalised");
  if (row.digest !== null && row.digest.cost !== null && row.digest.cost < STRONG_COST)
    notes.push("weak-digest");
  if (row.isCreatedAtUnusable) notes.push("unusable-date");
  if (phoneNumberOf(row.phoneNumber ?? "").hasTrunkZero) notes.push("trunk-zero");
  const covers = (entry: string) => isCovered(profile.email, entry);
  const isRestricted =
    blocklist.some(covers) ||
    (environment?.hasAllowlist === true && !allowlist.some(covers)) ||
    (environment?.blocksSubaddresses === true && /\+.*@/.test(profile.email));
  if (isRestricted) notes.push("restricted");
  return notes;
}

function isCovered(address: string, entry: string): boolean {
  const wanted = addressOrDomain(entry);
  return address === wanted || address.endsWith(`@${wanted}`);
}
