import { type ClerkUser, isOurs, type MarkOwner } from "../clerk/user";
import { type Condition, normalEmail } from "./inputs";

/** The row as the user is meant to be: a decision may have given another address. */
export function withDecidedEmail<T extends { readonly email: string | null }>(
  row: T | undefined,
  decidedEmail: string,
): T | undefined {
  return row === undefined || decidedEmail === "" ? row : { ...row, email: decidedEmail };
}

interface LinkedRow {
  readonly clerkUserId: string | null;
  readonly email: string | null;
  /** Whether another row has the same link; left out where nobody has looked. */
  readonly isDoubled?: boolean;
}

export function conditionOf(
  userId: string,
  row: LinkedRow | undefined,
  live: ClerkUser | undefined,
  owner: MarkOwner,
): Condition {
  if (row === undefined) return "row-gone";
  if (live === undefined) return "gone";
  if (!isOurs(live, userId, owner)) return "not-ours";
  if (row.clerkUserId === null) return "unlinked";
  if (row.clerkUserId !== live.id) return "relinked";
  if (row.isDoubled === true) return "doubled";
  if (live.banned) return "banned";
  if (live.locked) return "locked";
  return live.primaryEmail === normalEmail(row.email ?? "") ? "ok" : "email-changed";
}

export function signInTime(live: ClerkUser): string {
  return live.lastSignInAt === null ? "" : new Date(live.lastSignInAt).toISOString();
}

const meanings: Readonly<Record<Exclude<Condition, "ok">, readonly [what: string, remedy: string]>> = {
  "row-gone": [
    "the row is gone from the users table",
    "If it was deleted on purpose, allowRemovals lets `up` roll the user back.",
  ],
  gone: ["nobody in Clerk has this id any more", "Decide `recreate` or `forget` in decisions.yaml."],
  "not-ours": [
    "external id or mark of the Clerk user have been changed",
    "Find out who has changed them, and set them back: until then this user is left alone.",
  ],
  unlinked: ["the row's link is gone", "The next `up` sets it again."],
  relinked: [
    "the row is linked to another Clerk user",
    "Find out who has changed the link, and set it back: until then the row is left alone.",
  ],
  doubled: [
    "another row has the same link",
    "Find out which row is the right one, and clear the other: both see the same person's session.",
  ],
  banned: ["the user is banned in Clerk", "Nothing has to be done if somebody meant it."],
  locked: [
    "the user is locked in Clerk after failed sign-ins",
    "Clerk unlocks the user after a while; support can do it in the dashboard.",
  ],
  "email-changed": [
    "the address differs between the row and Clerk",
    "Until the first sign-in with Clerk `up` applies the row's; after it Clerk's is the user's own.",
  ],
};

/** A sentence with its remedy, which names the user by id alone. */
export function describeCondition(userId: string, condition: Exclude<Condition, "ok">): string {
  const [what, remedy] = meanings[condition];
  return `User ${userId} (${condition}): ${what}. ${remedy}`;
}
