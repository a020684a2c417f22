import type { ClerkFacts } from "../clerk/facts";
import { type ClerkUser, isOurs, type MarkOwner } from "../clerk/user";
import { adoptionProblem } from "../clerk-user/adoption";
import type { Profile } from "../clerk-user/inputs";
import type { Decision } from "../decisions";
import type { Settings } from "../settings";
import { judge, type Judged, type Judgement } from "./reasons";
import type { Standing } from "./standing";

export interface Claim {
  readonly userId: string;
  readonly profile: Profile;
  readonly owner: MarkOwner;
  readonly decision: Decision | undefined;
  readonly existing: Settings["existing"];
  /** The `user_id` of the row that is linked to a Clerk user, if one is. */
  readonly rowLinkedTo: (clerkUserId: string) => string | undefined;
}

export function claimOf(
  owner: MarkOwner,
  { existing }: Pick<Settings, "existing">,
  { row, profile, decision }: Pick<Standing, "row" | "profile" | "decision">,
  linkedRows: ReadonlyMap<string, string>,
): Claim {
  return {
    userId: row.userId,
    profile,
    owner,
    decision,
    existing,
    rowLinkedTo: (clerkUserId) => linkedRows.get(clerkUserId),
  };
}

/** What somebody in Clerk means for a new user; `adopt` names whom to take over. undefined: nobody is in the way. */
export function clerkJudgement(facts: ClerkFacts, claim: Claim): Judged | undefined {
  const { userId, profile, owner, decision } = claim;
  const sameId = facts.byExternalId.get(userId);
  if (sameId !== undefined && isOurs(sameId, userId, owner)) {
    return linkedByRow(sameId, claim) ?? { ...judge("made-already"), adopt: sameId.id };
  }
  const named = typeof decision?.adopt === "string" ? decision.adopt : undefined;
  const inTheWay = sameId ?? facts.byAddress.get(profile.email);
  const wanted = named === undefined ? inTheWay : facts.byId.get(named);

  if (decision?.adopt !== undefined && wanted === undefined)
    return judge(
      "not-adoptable",
      named === undefined ? "Clerk has nobody with this address" : `${named} does not exist`,
    );
  const elsewhere = wanted === undefined ? undefined : linkedByRow(wanted, claim);
  if (elsewhere !== undefined) return elsewhere;
  if (wanted !== undefined && (decision?.adopt !== undefined || claim.existing === "adopt"))
    return adoption(wanted, claim);

  if (sameId !== undefined) return judge("external-id-taken", sameId.id);
  if (inTheWay !== undefined) return judge("email-taken", inTheWay.id);
  const sameName = profile.username === "" ? undefined : facts.byUsername.get(profile.username);
  if (sameName !== undefined) return judge("username-taken", sameName.id);
  const samePhone = profile.phoneNumber === "" ? undefined : facts.byPhoneNumber.get(profile.phoneNumber);
  return samePhone === undefined ? undefined : judge("phone-taken", samePhone.id);
}

/** Two rows cannot share a Clerk user. */
function linkedByRow(
  live: ClerkUser,
  { userId, rowLinkedTo }: Pick<Claim, "userId" | "rowLinkedTo">,
): Judgement | undefined {
  const row = rowLinkedTo(live.id);
  return row === undefined || row === userId ? undefined : judge("linked-by-row", `${live.id}, row ${row}`);
}

function adoption(live: ClerkUser, { userId, profile, owner, decision }: Claim): Judged {
  const problem = adoptionProblem(live, userId, profile.email, owner);
  if (problem !== undefined) return judge("not-adoptable", `${live.id}: ${problem}`);
  return {
    ...judge(decision?.adopt === undefined ? "adopt-setting" : "adopt-decision", live.id),
    adopt: live.id,
  };
}
