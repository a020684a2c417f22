import { type ClerkUser, isOurs } from "../clerk/user";
import { hasNewPassword } from "../clerk-user/rollback";
import type { LedgerUser } from "../postgres/ledger";
import type { PlanSettings, World } from "../world";
import { claimOf, clerkJudgement } from "./clerk";
import { instanceProblem, updateProblem } from "./instance";
import { judge, type Judged, type Judgement } from "./reasons";
import { addressProblem, changeProblem, profileProblem } from "./row";
import { hasNewDigest, hasNewProfile, type Standing, unchangedHeld } from "./standing";

/**
 * What a run would do about a row that the ledger holds. It is declared whatever comes out: blocked means that its
 * update is going to fail, and that nothing of it is touched.
 */
export function judgeHeld(
  world: World,
  settings: PlanSettings,
  standing: Standing,
  held: LedgerUser,
  linkedRows: ReadonlyMap<string, string>,
): Judged {
  const { judged = judge("held"), row, decision } = standing;
  if (judged.verdict === "unchanged" || judged.code === "same-user-id") return judged;
  const live = held.clerkUserId === null ? undefined : world.clerk.byId.get(held.clerkUserId);
  if (judged.code === "cut-off-adoption") return { ...judged, adopt: held.clerkUserId ?? "" };
  if (judged.code === "cut-off-create") return resumedCreate(world, settings, standing, judged, linkedRows);
  const ours = live !== undefined && isOurs(live, row.userId, world) ? live : undefined;
  if (judged.code === "cut-off-rollback") {
    // Half given back, or wholly: the account is adopted again.
    if (live !== undefined && held.origin === "adopted") return { ...judged, adopt: live.id };
    const isUnmarked = live?.externalId === row.userId && live.mark === null;
    if (live !== undefined && ours === undefined && !isUnmarked) return judge("not-ours", live.id);
    if (live !== undefined) return syncProblem(world, standing, live) ?? judged;
    return createProblem(world, settings, standing) ?? judged;
  }

  if (live === undefined) {
    if (decision?.forget === true) return judge("forgotten");
    if (decision?.recreate === true) return createProblem(world, settings, standing) ?? judge("recreate");
    return judge("gone", held.clerkUserId ?? "");
  }
  if (ours === undefined) return judge("not-ours", live.id);
  const real = whatChanged(standing, held);
  if (real.verdict !== "update") return real;
  if (isTheirOwn(ours, held)) return real.code === "link-lost" ? real : judge("clerk-is-truth");
  const sendsDigest = standing.passwords === "carry" && row.digest?.hasher != null && hasNewDigest(row, held);
  return (
    syncProblem(world, standing, ours) ??
    taken(world, standing, ours) ??
    updateProblem(world.clerk.environment, standing.profile, ours, sendsDigest) ??
    real
  );
}

/** The same as the ledger's own answer, without the decisions that only made us ask Clerk. */
function whatChanged({ row, profile, judged = judge("held") }: Standing, held: LedgerUser): Judgement {
  if (judged.code !== "row-changed") return judged;
  if (row.clerkUserId === null) return judge("link-lost");
  return hasNewProfile(row, profile, held) ? judged : unchangedHeld(row);
}

/** Whether Clerk is the truth for this user by now: nothing of it is overwritten. */
function isTheirOwn(live: ClerkUser, held: LedgerUser | undefined): boolean {
  return live.lastSignInAt !== null || hasNewPassword(live, held) || held?.origin === "adopted";
}

/** What Clerk would refuse of the values that are carried over to somebody who is there. */
function syncProblem(world: World, { profile, held }: Standing, live: ClerkUser): Judgement | undefined {
  return isTheirOwn(live, held) ? undefined : changeProblem(profile, live, world.now);
}

function resumedCreate(
  world: World,
  settings: PlanSettings,
  standing: Standing,
  judged: Judgement,
  linkedRows: ReadonlyMap<string, string>,
): Judged {
  const { row } = standing;
  // Cut off before it could note that it was to adopt somebody.
  const inClerk = clerkJudgement(world.clerk, claimOf(world, settings, standing, linkedRows));
  if (inClerk?.verdict === "adopt") return { ...judged, adopt: inClerk.adopt ?? "" };
  const sameId = world.clerk.byExternalId.get(row.userId);
  if (sameId !== undefined) {
    return isOurs(sameId, row.userId, world)
      ? (syncProblem(world, standing, sameId) ?? judged)
      : judge("external-id-taken", sameId.id);
  }
  return createProblem(world, settings, standing) ?? judged;
}

/** What would keep Clerk from making this user, who is nobody there. */
function createProblem(world: World, settings: PlanSettings, standing: Standing): Judgement | undefined {
  return (
    addressProblem(standing.profile.email) ??
    profileProblem(standing.profile, world.now) ??
    taken(world, standing, undefined) ??
    instanceProblem(world.clerk.environment, standing.profile, standing.passwords, settings)
  );
}

/** Somebody else has the address that the user is to get. */
function taken(world: World, { profile }: Standing, own: ClerkUser | undefined): Judgement | undefined {
  const other = world.clerk.byAddress.get(profile.email);
  return other === undefined || other.id === own?.id ? undefined : judge("email-taken", other.id);
}
