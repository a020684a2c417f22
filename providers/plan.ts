import type { InvitationInputs } from "./clerk-invitation/inputs";
import {
  type ClerkUserInputs,
  maskedEmail,
  normalEmail,
  type Profile,
  profileFingerprint,
  profileOf,
} from "./clerk-user/inputs";
import type { Decisions } from "./decisions";
import { MigrationError, otherInstance } from "./errors";
import { isHeld, isMailHeld, type Ledger, type LedgerUser, type Passwords } from "./postgres/ledger";
import type { UserRow } from "./postgres/legacy-users";
import type { Settings } from "./settings";

/** What is there before a run: the rows, what the ledger says, and whose run it is. */
export interface World {
  readonly rows: readonly UserRow[];
  readonly ledger: Ledger;
  readonly project: string;
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
  readonly decisions: Decisions;
}

export type Verdict = "create" | "resume" | "update" | "adopt" | "unchanged" | "blocked" | "excluded";

export interface PlannedUser {
  readonly userId: string;
  /** The address, masked unless the operator asks. */
  readonly label: string;
  readonly createdAt: string;
  readonly verdict: Verdict;
  /** Why this verdict; empty where the verdict says it all. */
  readonly reason: string;
  readonly remedy: string;
  /** null where the user is left out. */
  readonly declared: ClerkUserInputs | null;
  readonly invitation: InvitationInputs | null;
}

export type Plan = readonly PlannedUser[];

type PlanSettings = Pick<
  Settings,
  "email" | "passwords" | "notify" | "clerkInviteRedirectUrl" | "reveal" | "allowRemovals" | "heldOnly"
>;

/** One verdict for every row, before anything is written. Throws where a run must not start at all. */
export function makePlan(world: World, settings: PlanSettings): Plan {
  refuseOtherInstance(world);
  refuseRemovals(world, settings.allowRemovals);
  const isWanted = wantedBy(world.rows, settings.email);
  const duplicates = duplicatesOf(world.rows);

  return world.rows.map((row) => {
    const profile = profileOf(row);
    const entry = world.ledger.users.get(row.userId);
    const held = entry !== undefined && isHeld(entry) && entry.stack === world.stack ? entry : undefined;
    const judged =
      held === undefined
        ? judgeNew(world, settings, row, profile, entry, isWanted, duplicates)
        : judgeHeld(row, profile, held);
    const isDeclared = judged.verdict !== "blocked" && judged.verdict !== "excluded";
    const declared = isDeclared ? declare(world, settings, row, profile, entry) : null;
    return {
      userId: row.userId,
      label: settings.reveal ? (row.email ?? "") : maskedEmail(profile.email),
      createdAt: profile.createdAt,
      ...withPasswordNote(judged, declared, settings.passwords),
      declared,
      invitation: declared === null ? null : invite(world, settings, declared),
    };
  });
}

interface Judgement {
  readonly verdict: Verdict;
  readonly reason: string;
  readonly remedy: string;
}

const judgement = (verdict: Verdict, reason = "", remedy = ""): Judgement => ({ verdict, reason, remedy });

/** What the ledger holds is always declared, whatever the filters of the day. */
function judgeHeld(row: UserRow, profile: Profile, held: LedgerUser): Judgement {
  if (held.status === "creating") return judgement("resume", "a run was cut off while creating this user");
  if (held.status === "unlinking") return judgement("resume", "a rollback of this user was cut off");
  if (row.clerkUserId === null) return judgement("update", "the link was lost");
  if (row.clerkUserId !== held.clerkUserId) {
    return judgement(
      "unchanged",
      "the row is linked to another Clerk user than ours",
      "Clear clerk_user_id of the row if ours is the right one.",
    );
  }
  if (row.digest !== null && row.digest.fingerprint !== held.digestFingerprint) {
    return judgement("update", "the legacy password has changed");
  }
  if (profileFingerprint(row.userId, profile) !== held.profileFingerprint) {
    return judgement("update", "the row has changed");
  }
  return judgement("unchanged");
}

function judgeNew(
  world: World,
  settings: PlanSettings,
  row: UserRow,
  profile: Profile,
  entry: LedgerUser | undefined,
  isWanted: (row: UserRow) => boolean,
  duplicates: ReadonlyMap<string, readonly string[]>,
): Judgement {
  if (entry !== undefined && entry.stack !== world.stack && isHeld(entry)) {
    return judgement("excluded", `belongs to the stack ${entry.stack}`);
  }
  if (row.clerkUserId !== null) return judgement("excluded", "linked already, not by this stack");
  if (row.digest === null) return judgement("excluded", "has no password hash");
  if (settings.heldOnly) return judgement("excluded", "this run takes on nobody new");
  const skip = world.decisions.get(row.userId)?.skip;
  if (skip !== undefined) return judgement("excluded", `skipped by a decision: ${skip}`);
  if (!isWanted(row)) return judgement("excluded", "another address than the one asked for");
  if (profile.email === "") {
    return judgement("blocked", "has no e-mail address", "Add one to the row.");
  }
  if (!isAddress(profile.email)) {
    return judgement("blocked", "the e-mail address is malformed", "Correct it in the row.");
  }
  const others = (duplicates.get(profile.email) ?? []).filter((userId) => userId !== row.userId);
  if (others.length > 0) {
    return judgement(
      "blocked",
      `has the same address as ${others.join(", ")}`,
      "Clerk takes an address once: change or remove one of them.",
    );
  }
  return judgement("create");
}

function declare(
  world: World,
  settings: PlanSettings,
  row: UserRow,
  profile: Profile,
  entry: LedgerUser | undefined,
): ClerkUserInputs {
  const { hasher, ...known } = profile;
  const linkLost = entry?.status === "linked" && row.clerkUserId === null;
  // Fixed when the user is created: a later change of the setting changes nobody who is held.
  const passwords: Passwords = entry?.passwords ?? (hasher === null ? "reset" : settings.passwords);
  return {
    ...known,
    userId: row.userId,
    label: maskedEmail(profile.email),
    project: world.project,
    stack: world.stack,
    // A digest that is gone from a row we hold means no change.
    digestFingerprint: known.digestFingerprint || (entry?.digestFingerprint ?? ""),
    passwords,
    attempt: (entry?.attempt ?? 1) + (linkLost ? 1 : 0),
  };
}

function withPasswordNote(
  judged: Judgement,
  declared: ClerkUserInputs | null,
  setting: Passwords,
): Judgement {
  if (judged.verdict !== "create" || declared?.passwords === setting) return judged;
  return {
    ...judged,
    reason: "Clerk takes no password hash of this form, so the user sets a new password at the first sign-in",
  };
}

/** Sent ones stay declared whatever `notify` says today; new ones follow it. */
function invite(world: World, settings: PlanSettings, user: ClerkUserInputs): InvitationInputs | null {
  const entry = world.ledger.invitations.get(user.userId);
  const isSent = entry !== undefined && isMailHeld(entry);
  if (!isSent && (settings.notify === "none" || settings.heldOnly)) return null;
  return {
    userId: user.userId,
    label: user.label,
    project: user.project,
    stack: user.stack,
    email: user.email,
    redirectUrl: settings.clerkInviteRedirectUrl ?? "",
    attempt: entry?.attempt ?? 1,
  };
}

function refuseOtherInstance(world: World): void {
  for (const user of world.ledger.users.values()) {
    if (!isHeld(user) || user.stack !== world.stack || user.clerkInstanceId === world.clerkInstanceId)
      continue;
    throw otherInstance(`The stack ${world.stack}`, user.clerkInstanceId, world.clerkInstanceId);
  }
}

const SHOWN = 5;

/** Pulumi deletes what a program no longer declares: rows that are gone must never roll users back by accident. */
function refuseRemovals(world: World, allowed: number): void {
  const present = new Set(world.rows.map((row) => row.userId));
  const held = [...world.ledger.users.values()].filter((user) => isHeld(user) && user.stack === world.stack);
  const gone = held.map((user) => user.userId).filter((userId) => !present.has(userId));
  if (gone.length <= allowed) return;
  const shown = gone.slice(0, SHOWN).join(", ") + (gone.length > SHOWN ? ", …" : "");
  throw new MigrationError(
    "removals",
    `${gone.length.toString()} of the ${held.length.toString()} users that this stack holds are gone from the users table (${shown}), and going on would roll them back.`,
    `Check that DATABASE_URL names the right database. If they were deleted on purpose, run \`pulumi config set allowRemovals ${gone.length.toString()}\`.`,
  );
}

/** Also matches linked and held rows: that somebody is done already is no error. */
function wantedBy(rows: readonly UserRow[], email: string | undefined): (row: UserRow) => boolean {
  if (email === undefined) return () => true;
  const wanted = normalEmail(email);
  const matches = (row: UserRow) => normalEmail(row.email ?? "") === wanted;
  if (rows.some(matches)) return matches;
  throw new MigrationError(
    "nobody",
    `No row of the users table has the address asked for (${maskedEmail(wanted)}).`,
    "Correct MIGRATE_EMAIL, or the setting `email`.",
  );
}

function duplicatesOf(rows: readonly UserRow[]): ReadonlyMap<string, readonly string[]> {
  const byAddress = new Map<string, string[]>();
  for (const row of rows) {
    const address = normalEmail(row.email ?? "");
    const sharing = byAddress.get(address);
    if (sharing === undefined) byAddress.set(address, [row.userId]);
    else sharing.push(row.userId);
  }
  return byAddress;
}

/** One @, something on both sides, a dot in the domain, no spaces: Clerk has the last word. */
function isAddress(address: string): boolean {
  return address.length <= 254 && /^[^\s@<>",;]+@[^\s@.<>",;]+(\.[^\s@.<>",;]+)+$/u.test(address);
}

export function countVerdicts(plan: Plan): Record<Verdict, number> {
  const counts: Record<Verdict, number> = {
    create: 0,
    resume: 0,
    update: 0,
    adopt: 0,
    unchanged: 0,
    blocked: 0,
    excluded: 0,
  };
  for (const user of plan) counts[user.verdict]++;
  return counts;
}
