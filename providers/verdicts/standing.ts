import { type Profile, profileFingerprint, profileOf } from "../clerk-user/inputs";
import type { Decision } from "../decisions";
import { isHeld, type LedgerUser, type Passwords } from "../postgres/ledger";
import type { UserRow } from "../postgres/legacy-users";
import type { PlanSettings, Records } from "../world";
import { judge, type Judgement } from "./reasons";
import { rowProblem } from "./row";
import { doubledIds, rowsById } from "./same-id";
import { selectionOf } from "./selection";

/** What is known of a row before Clerk is asked. */
export interface Standing {
  readonly row: UserRow;
  readonly profile: Profile;
  readonly entry: LedgerUser | undefined;
  /** The entry, where the ledger holds the row for this stack. */
  readonly held: LedgerUser | undefined;
  readonly decision: Decision | undefined;
  /** Fixed when the user is created: a later change of the setting changes nobody who is held. */
  readonly passwords: Passwords;
  /** undefined: a candidate, of which Clerk has to be asked. Of a held row: what differs from the ledger. */
  readonly judged: Judgement | undefined;
}

export function standings(records: Records, settings: PlanSettings): Standing[] {
  const notOfThisWave = selectionOf(records.rows, settings);
  const meant = rowsById(records);
  const doubled = doubledIds(records.rows);
  const known = records.rows.map((row) => {
    const entry = records.ledger.users.get(row.userId);
    const isOwn = entry !== undefined && isHeld(entry) && entry.stack === records.stack;
    const held = isOwn && meant.get(row.userId) === row ? entry : undefined;
    const decision = records.decisions.get(row.userId);
    const profile = profileOf(row, decision?.email);
    const isCarried = decision?.passwords !== "reset" && row.digest?.hasher != null;
    const passwords: Passwords = held?.passwords ?? (isCarried ? settings.passwords : "reset");
    const out: Judgement | undefined =
      held === undefined
        ? leftOut(records, settings, row, entry, decision)
        : unlessDoubled(doubled.has(row.userId), heldJudgement(row, profile, held, decision));
    return { row, profile, entry, held, decision, passwords, out };
  });
  const sameAddress = sharing(known, ({ email }) => email);
  const sameUsername = sharing(known, ({ username }) => username);
  const samePhone = sharing(known, ({ phoneNumber }) => phoneNumber);
  return known.map(({ out, ...standing }) => {
    if (standing.held !== undefined || out !== undefined) return { ...standing, judged: out };
    const { row, profile } = standing;
    const judged =
      notOfThisWave(row) ??
      (doubled.has(row.userId) ? judge("same-user-id") : undefined) ??
      rowProblem(row, profile, settings, records.now) ??
      shared("same-address", sameAddress(standing)) ??
      shared("same-username", sameUsername(standing)) ??
      shared("same-phone", samePhone(standing));
    return { ...standing, judged };
  });
}

/** A held row that is not alone with its id stays declared, and nothing of it is touched: nobody could tell which row is meant. */
function unlessDoubled(isDoubled: boolean, judged: Judgement): Judgement {
  return isDoubled && judged.verdict !== "unchanged" ? judge("same-user-id") : judged;
}

/** Rows that are nobody's to take on, whatever the wave. */
function leftOut(
  records: Records,
  settings: PlanSettings,
  row: UserRow,
  entry: LedgerUser | undefined,
  decision: Decision | undefined,
): Judgement | undefined {
  if (entry !== undefined && entry.stack !== records.stack && isHeld(entry))
    return judge("other-stack", entry.stack);
  if (row.clerkUserId !== null) return judge("linked");
  if (row.digest === null) return judge("no-digest");
  if (row.isDeleted) return judge("deleted");
  if (row.isBanned) return judge("banned");
  if (settings.heldOnly) return judge("held-only");
  if (decision?.skip !== undefined) return judge("skipped", decision.skip);
  if (decision?.leave !== undefined) return judge("stays-behind", decision.leave);
  return decision?.forget === true ? judge("forgotten") : undefined;
}

/** How a held row differs from what the ledger has recorded. */
function heldJudgement(
  row: UserRow,
  profile: Profile,
  held: LedgerUser,
  decision: Decision | undefined,
): Judgement {
  if (held.status === "creating")
    return judge(held.origin === "adopted" ? "cut-off-adoption" : "cut-off-create");
  if (held.status === "unlinking") return judge("cut-off-rollback");
  // Both decisions are about somebody who is gone in Clerk, which has to be asked.
  if (decision?.recreate === true || decision?.forget === true) return judge("row-changed");
  if (row.clerkUserId === null) return judge("link-lost");
  if (row.clerkUserId !== held.clerkUserId) return judge("relinked");
  if (hasNewDigest(row, held)) return judge("password-changed");
  return hasNewProfile(row, profile, held) ? judge("row-changed") : unchangedHeld(row);
}

/** A held row of which nothing is to be carried over. */
export function unchangedHeld({ isDeleted, isBanned }: UserRow): Judgement {
  if (isDeleted) return judge("held-deleted");
  return judge(isBanned ? "held-banned" : "held");
}

/** A digest that is gone means no change. */
export function hasNewDigest({ digest }: UserRow, held: LedgerUser): boolean {
  return digest !== null && digest.fingerprint !== held.digestFingerprint;
}

export function hasNewProfile(row: UserRow, profile: Profile, held: LedgerUser): boolean {
  return profileFingerprint(row.userId, profile) !== held.profileFingerprint;
}

type Known = Pick<Standing, "row" | "profile">;

/**
 * Which other rows claim the same value: rows that are taken on, may be some day, or are linked. Not those that never
 * will be.
 */
function sharing(
  known: readonly (Known & { readonly out: Judgement | undefined })[],
  valueOf: (profile: Profile) => string,
): (standing: Known) => readonly string[] {
  const claimants = new Map<string, string[]>();
  const never = new Set(["no-digest", "deleted", "banned", "skipped", "stays-behind", "forgotten"]);
  for (const { row, profile, out } of known) {
    if (out !== undefined && never.has(out.code)) continue;
    const value = valueOf(profile);
    const others = claimants.get(value);
    if (others === undefined) claimants.set(value, [row.userId]);
    else others.push(row.userId);
  }
  return ({ row, profile }) => {
    const value = valueOf(profile);
    return value === "" ? [] : (claimants.get(value) ?? []).filter((userId) => userId !== row.userId);
  };
}

function shared(
  code: "same-address" | "same-username" | "same-phone",
  others: readonly string[],
): Judgement | undefined {
  return others.length === 0 ? undefined : judge(code, others.join(", "));
}
