import { setTimeout as wait } from "node:timers/promises";

import { aboutUser, ClerkError, isDigestRefused, isOutcomeUnknown, isTaken } from "../clerk/errors";
import { type ClerkUser, isOurs } from "../clerk/user";
import { MigrationError, Refusal } from "../errors";
import { explainDatabaseError } from "../postgres/database";
import { isHeld, type LedgerUser, type Passwords } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import {
  claimUser,
  linkUser,
  readUser,
  recordAdoption,
  recordFailure,
  unlinkUser,
} from "../postgres/ledger-users";
import { type Hasher, hasherOf, readLinks, readRow, type RowWithDigest } from "../postgres/legacy-users";
import { type LinkProblem, someLegacyRows } from "../postgres/link";
import { explainLink, isTables, tableProblem } from "../postgres/link-problems";
import type { Systems } from "../systems";
import { adoptionProblem, giveBack, setsExternalId, takeOver } from "./adoption";
import { conditionOf, signInTime, withDecidedEmail } from "./condition";
import { eraseUser, isAdoptedAccount } from "./erase";
import {
  adoptedGone,
  emailTaken,
  externalIdTaken,
  gone,
  heldStill,
  linkedElsewhere,
  noLongerLegacy,
  noMoreCreated,
  notAdoptable,
  notOurs,
  rowGone,
} from "./failures";
import {
  type ClerkUserInputs,
  type ClerkUserOutputs,
  metadataOf,
  type Profile,
  profileFingerprint,
  profileWithDigest,
} from "./inputs";
import { hasNewPassword } from "./rollback";

/** How often a create is tried whose outcome stays unknown, with a look-up and a pause before each repetition. */
const CREATE_TRIES = 4;
const CREATE_PAUSE_MS = 500;

/**
 * Create, update and the answer to every crash are one flow: observe, ensure, sync, record. Safe to repeat from
 * any point. What fails is recorded in the ledger before it is thrown.
 */
export async function ensureUser(
  systems: Systems,
  inputs: ClerkUserInputs,
  recorded?: ClerkUserOutputs,
): Promise<ClerkUserOutputs> {
  const owner = await systems.writer(inputs);
  try {
    return await ensure(systems, owner, inputs, recorded);
  } catch (thrown) {
    const error = aboutUser(explainDatabaseError(thrown), inputs.userId);
    if (error instanceof MigrationError) {
      // What went wrong matters more than that it could not be written down.
      await recordFailure(systems.database, owner, inputs.userId, error).catch(() => undefined);
    }
    throw error;
  }
}

async function ensure(
  systems: Systems,
  owner: Owner,
  inputs: ClerkUserInputs,
  recorded: ClerkUserOutputs | undefined,
): Promise<ClerkUserOutputs> {
  const { database } = systems;
  const { userId } = inputs;

  const row = await readRow(database, systems.settings.table, userId);
  if (row === undefined) {
    // What a cut-off run may have left in Clerk must stay in the ledger: that is how a rollback finds it.
    const held = await readUser(database, owner, userId);
    throw held !== undefined && isHeld(held) ? heldStill(rowGone(userId)) : rowGone(userId);
  }
  const profile = profileWithDigest(row, inputs.decidedEmail);

  // Write-ahead: from here on, whatever happens, the ledger knows that a Clerk user may exist.
  // Where it has forgotten the user, the state says which digest Clerk has.
  const inState = recorded?.profile.digestFingerprint;
  const before = await claimUser(database, owner, userId, inState ?? profile.digestFingerprint);
  const observed = await observe(systems, owner, inputs, row, before);
  const ensured =
    observed === undefined
      ? await makeUser(systems, owner, inputs, row, profile, before)
      : {
          user: observed,
          passwords: before?.passwords ?? passwordsOf(observed),
          // Claimed, and nothing after: an earlier try of this very create has made the user.
          isMadeHere: before?.status === "creating" && before.clerkUserId === null,
        };
  const live =
    before === undefined && observed === undefined
      ? ensured.user
      : await sync(systems, ensured.user, row, profile, ensured.passwords, before, inState);

  const origin = isAdoptedAccount(live, before) ? "adopted" : "created";
  // A digest that is gone from a row we hold means no change.
  const digestFingerprint = profile.digestFingerprint || before?.digestFingerprint || "";
  const problem = await linkUser(database, systems.settings.table, owner, {
    userId,
    clerkUserId: live.id,
    origin,
    passwords: ensured.passwords,
    digestFingerprint,
    profileFingerprint: profileFingerprint(userId, profile),
    clerkPasswordAt:
      observed !== undefined && hasNewPassword(observed, before)
        ? (before?.clerkPasswordAt ?? null)
        : live.passwordLastUpdatedAt,
    attempt: inputs.attempt,
  });
  if (problem !== undefined) {
    const reason = await explainProblem(systems, userId, problem);
    throw await takeBack(systems, owner, userId, { ...ensured, user: live }, before, reason);
  }

  // Only a row that was there before can have a double: this one was just linked to a user who is new.
  const { isDoubled = false } =
    before === undefined
      ? {}
      : ((await readLinks(database, systems.settings.table, [userId])).get(userId) ?? {});
  const linkedRow = withDecidedEmail({ ...row, clerkUserId: live.id, isDoubled }, inputs.decidedEmail);
  const condition = conditionOf(userId, linkedRow, live, owner);
  return {
    ...inputs,
    migrationId: owner.migrationId,
    ...{ profile: { ...profile, digestFingerprint }, origin, condition },
    passwords: ensured.passwords,
    clerkUserId: live.id,
    clerkInstanceId: owner.clerkInstanceId,
    seen: condition,
    lastSignInAt: signInTime(live),
  };
}

/** The user that ledger, row or look-up lead to; undefined where there is none to go on with. */
async function observe(
  systems: Systems,
  owner: Owner,
  inputs: ClerkUserInputs,
  row: RowWithDigest,
  before: LedgerUser | undefined,
): Promise<ClerkUser | undefined> {
  const { clerk, database, settings } = systems;
  const { userId } = row;
  const recorded = before?.clerkUserId ?? null;
  if (before !== undefined && recorded !== null) {
    const live = await clerk.user(recorded);
    if (live !== undefined && isOurs(live, userId, owner)) return live;
    // An adoption that was cut off is taken up where it stopped, and an account half given back is adopted again.
    if (live !== undefined && isHalfAdopted(before)) return undefined;
    // A rollback that keeps the Clerk users was cut off after it had taken our mark away.
    const isUnmarked = live?.externalId === userId && live.mark === null;
    if (before.status === "unlinking" && before.origin === "created" && isUnmarked) {
      return clerk.setMark(recorded, { migration: owner.migrationId });
    }
    if (before.origin === "adopted" && before.status === "creating") return undefined;
    if (live !== undefined) throw notOurs(userId, recorded);
    if (before.status === "linked" && !inputs.recreate) throw gone(userId, recorded);
    // The link still leads to the one who is gone.
    if (before.status === "linked") await unlinkUser(database, settings.table, owner, userId, recorded);
    // A rollback that was cut off has deleted the user already.
  }
  // A link that the ledger does not know is ours only if the user is: the ledger may have lost its row.
  const linked =
    row.clerkUserId === null || row.clerkUserId === recorded ? undefined : await clerk.user(row.clerkUserId);
  if (linked !== undefined && isOurs(linked, userId, owner)) return linked;
  // The plan has found somebody of ours whom the ledger has forgotten.
  const forgotten = inputs.adopt === "" ? undefined : await clerk.user(inputs.adopt);
  if (forgotten !== undefined && isOurs(forgotten, userId, owner)) return forgotten;
  // A look-up before the create only if one may have left already: the usual user costs one request.
  if (before?.status === "creating") {
    const found = await clerk.userByExternalId(userId);
    if (found !== undefined && isOurs(found, userId, owner)) return found;
  }
  if (row.clerkUserId !== null && row.clerkUserId !== recorded)
    throw linkedElsewhere(userId, row.clerkUserId);
  return undefined;
}

/** A Clerk user for the row, and where it comes from. */
interface Ensured {
  readonly user: ClerkUser;
  readonly passwords: Passwords;
  /** This create has made it, so it may take it back. */
  readonly isMadeHere: boolean;
}

/** The ledger remembers an account that was there before us, and the row is not linked to it, or no longer. */
function isHalfAdopted(before: LedgerUser | undefined): boolean {
  return before?.origin === "adopted" && (before.status === "creating" || before.status === "unlinking");
}

async function makeUser(
  systems: Systems,
  owner: Owner,
  inputs: ClerkUserInputs,
  row: RowWithDigest,
  profile: Profile,
  before: LedgerUser | undefined,
): Promise<Ensured> {
  const remembered = isHalfAdopted(before) ? (before?.clerkUserId ?? "") : "";
  const isThere = remembered !== "" && (await systems.clerk.user(remembered)) !== undefined;
  const adopt = isThere ? remembered : inputs.adopt;
  return adopt === ""
    ? createUser(systems, owner, inputs, row, profile)
    : adoptUser(systems, owner, { ...inputs, adopt }, profile, before);
}

/** Creates, and where the outcome is unknown or the identifiers are taken, looks up before anything is repeated. */
async function createUser(
  systems: Systems,
  owner: Owner,
  inputs: ClerkUserInputs,
  row: RowWithDigest,
  profile: Profile,
): Promise<Ensured> {
  const { clerk, settings } = systems;
  const { userId } = inputs;
  if (row.passwordDigest === null) throw noLongerLegacy(userId);
  let password = inputs.passwords === "carry" ? passwordOf(row) : null;

  // Once an outcome was unknown, a refusal no longer proves that nothing exists.
  let certain = true;
  for (let tries = 1; ; tries++) {
    try {
      const user = await clerk.createUser({
        externalId: userId,
        emailAddress: profile.email,
        emailStatus: inputs.emailStatus,
        firstName: profile.firstName || null,
        lastName: profile.lastName || null,
        username: profile.username || null,
        phoneNumber: profile.phoneNumber || null,
        publicMetadata: metadataOf(profile.publicMetadata),
        privateMetadata: metadataOf(profile.privateMetadata),
        skipLegalChecks: settings.legalConsent === "skip",
        bypassDeviceTrust: settings.bypassDeviceTrust,
        createdAt: profile.createdAt || null,
        password,
        mark: { migration: owner.migrationId },
      });
      return { user, passwords: password === null ? "reset" : "carry", isMadeHere: true };
    } catch (error) {
      if (isDigestRefused(error) && password !== null) {
        systems.warn(
          `User ${userId}: Clerk does not take this password hash, so the user is created without a password and sets one at the first sign-in.`,
        );
        password = null;
        continue;
      }
      // It has been stopped meanwhile; an earlier try may have arrived.
      if (error instanceof Refusal && !certain) throw heldStill(error);
      if (!(error instanceof ClerkError)) throw error;
      const failure = error.about(userId);
      certain &&= !isOutcomeUnknown(failure);
      const final = certain
        ? new Refusal(failure.code, failure.reason, failure.remedy, { cause: error })
        : failure;
      if (!isTaken(failure) && !isOutcomeUnknown(failure)) throw final;

      const found = await clerk.userByExternalId(userId);
      const other =
        found === undefined && isTaken(failure) ? await clerk.userByEmail(profile.email) : undefined;
      const ours = [found, other].find((user) => user !== undefined && isOurs(user, userId, owner));
      // Found after a clear refusal it was there before, and is nothing to take back.
      if (ours !== undefined) return { user: ours, passwords: passwordsOf(ours), isMadeHere: !certain };
      if (found !== undefined) throw externalIdTaken(userId, found.id);
      if (other !== undefined) throw emailTaken(userId, other.id);
      if (tries === CREATE_TRIES) throw final;
      // Clerk's lists may lag behind its writes.
      await wait(CREATE_PAUSE_MS * 2 ** (tries - 1));
    }
  }
}

/** null where the row has no digest, or none that Clerk takes. */
function passwordOf({ passwordDigest: digest }: RowWithDigest): { digest: string; hasher: Hasher } | null {
  const hasher = digest === null ? null : hasherOf(digest);
  return digest === null || hasher === null ? null : { digest, hasher };
}

/** Takes over a Clerk user that exists: writes external id and mark, and nothing of the user's own. */
async function adoptUser(
  systems: Systems,
  owner: Owner,
  inputs: ClerkUserInputs,
  profile: Profile,
  before: LedgerUser | undefined,
): Promise<Ensured> {
  const { clerk, database } = systems;
  const { userId, adopt } = inputs;
  systems.assertCreating();
  const live = await clerk.user(adopt);
  if (live === undefined) throw adoptedGone(userId, adopt);
  const problem = adoptionProblem(live, userId, profile.email, owner);
  if (problem !== undefined) {
    const refusal = notAdoptable(userId, adopt, problem);
    // Of one that was cut off something may be written already: the ledger has to go on holding it.
    throw before?.origin === "adopted" ? heldStill(refusal) : refusal;
  }

  // Write-ahead, with what was there: a rollback puts it back.
  const externalIdSet = setsExternalId(live, isHalfAdopted(before) ? before : undefined);
  await recordAdoption(database, owner, userId, live.id, externalIdSet);
  const user = await takeOver(clerk, live, userId, owner, externalIdSet);
  return { user, passwords: passwordsOf(user), isMadeHere: false };
}

/** How a user of ours was created whose outcome nobody wrote down. */
function passwordsOf(live: ClerkUser): Passwords {
  return live.passwordEnabled ? "carry" : "reset";
}

/**
 * Applies what differs, as long as the legacy row is the source of truth: until the first sign-in with Clerk, or
 * the first password set there. After that nothing of the user's is overwritten.
 */
async function sync(
  systems: Systems,
  live: ClerkUser,
  row: RowWithDigest,
  profile: Profile,
  passwords: Passwords,
  before: LedgerUser | undefined,
  inState: string | undefined,
): Promise<ClerkUser> {
  if (isAdoptedAccount(live, before)) return live;
  if (live.lastSignInAt !== null || hasNewPassword(live, before)) return live;
  const { clerk } = systems;
  let synced = live;

  // Of a user whom ledger and state have forgotten nobody knows which digest Clerk has: it is left as it is.
  const sent = before === undefined ? inState : (before.digestFingerprint ?? "");
  const digestChanged = sent !== undefined && profile.digestFingerprint !== sent;
  const password = passwords === "carry" && digestChanged ? passwordOf(row) : null;
  const firstName = (live.firstName ?? "") === profile.firstName ? undefined : profile.firstName;
  const lastName = (live.lastName ?? "") === profile.lastName ? undefined : profile.lastName;
  const createdAt =
    profile.createdAt === "" || Date.parse(profile.createdAt) === live.createdAt
      ? undefined
      : profile.createdAt;
  const changes = {
    ...(firstName === undefined ? {} : { firstName }),
    ...(lastName === undefined ? {} : { lastName }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(password === null ? {} : { password }),
  };
  if (Object.keys(changes).length > 0) synced = await clerk.updateUser(live.id, changes);
  if (live.primaryEmail !== profile.email) {
    await clerk.replaceEmail(live.id, profile.email);
    // Clerk's lists may lag behind its writes, and its answer has told that the address is the user's.
    synced = (await clerk.user(live.id)) ?? synced;
  }
  return synced;
}

/** How many other rows are tried to tell a table that takes no link from one row that does not. */
const TRIALS = 3;

/** Where no other row would take a link either, nobody else is created in this run. */
async function explainProblem(systems: Systems, userId: string, problem: LinkProblem): Promise<Refusal> {
  const { database, settings } = systems;
  if (problem.kind === "row-gone") return rowGone(userId);
  if (problem.kind === "linked-elsewhere") return linkedElsewhere(userId, problem.clerkUserId);
  const reason = await explainLink(database, settings.table, userId, problem);
  if (!isTables(problem)) return reason;
  const others = await someLegacyRows(database, settings.table, userId, TRIALS);
  const ofAll = await tableProblem(database, settings.table, others);
  if (ofAll !== undefined) systems.stopCreating(noMoreCreated(ofAll));
  return reason;
}

/**
 * The row did not take the link. An adopted account is given back, and a user whom this create has made, who has never
 * signed in, is deleted again; anybody else stays. Answers why.
 */
async function takeBack(
  systems: Systems,
  owner: Owner,
  userId: string,
  { user: live, isMadeHere }: Ensured,
  before: LedgerUser | undefined,
  reason: Refusal,
): Promise<MigrationError> {
  const held = await readUser(systems.database, owner, userId);
  if (isAdoptedAccount(live, before, held) && before?.status !== "linked") {
    await giveBack(systems.clerk, live, userId, owner, held);
    return reason;
  }
  if (isMadeHere && live.lastSignInAt === null) {
    await eraseUser(systems, owner, userId, live);
    return reason;
  }
  return new MigrationError(
    reason.code,
    `${reason.reason} The Clerk user ${live.id} was left alone.`,
    reason.remedy,
  );
}
