import type { Questions } from "./clerk/facts";
import { isOurs } from "./clerk/user";
import { type ClerkUserInputs, maskedEmail, noProfile } from "./clerk-user/inputs";
import type { Decision, Decisions } from "./decisions";
import { MigrationError } from "./errors";
import { firstFew } from "./first-few";
import { forgottenAttempt } from "./lost-migration";
import { withMails } from "./plan-mails";
import { withRetirement } from "./plan-retire";
import { type JudgedUser, type Plan, type PlannedUser, usersById } from "./planned";
import { isHeld, isMailHeld, type LedgerUser } from "./postgres/ledger";
import type { UserRow } from "./postgres/legacy-users";
import type { Settings } from "./settings";
import { hadAccount } from "./verdicts/adopted";
import { claimOf, clerkJudgement } from "./verdicts/clerk";
import { judgeHeld } from "./verdicts/held";
import { refuseOtherHolders } from "./verdicts/holders";
import { instanceFindings, instanceProblem } from "./verdicts/instance";
import { newPasswordOf } from "./verdicts/new-password";
import { notesOf } from "./verdicts/notes";
import { judge, type Judged, type ReasonCode, reasons } from "./verdicts/reasons";
import { isEmailVerified } from "./verdicts/row";
import { waveRoom } from "./verdicts/selection";
import { type Standing, standings } from "./verdicts/standing";
import type { PlanSettings, Records, World } from "./world";

/** What Clerk has to be asked to judge these rows: nothing about those that are held and unchanged. */
export function questionsOf(records: Records, settings: PlanSettings): Questions {
  const ask = {
    addresses: new Set<string>(),
    externalIds: new Set<string>(),
    clerkUserIds: new Set<string>(),
  };
  const [usernames, phoneNumbers] = [new Set<string>(), new Set<string>()];
  for (const { row, profile, decision, held, judged } of standings(records, settings)) {
    if (held !== undefined && judged?.verdict === "unchanged") continue;
    if (judged?.code === "linked" && row.clerkUserId !== null) ask.clerkUserIds.add(row.clerkUserId);
    // A rollback must find whom a lost ledger has forgotten.
    if (judged?.code === "held-only" && isForgotten(records, row)) ask.externalIds.add(row.userId);
    if (held === undefined && judged !== undefined) continue;
    if (held?.clerkUserId != null) ask.clerkUserIds.add(held.clerkUserId);
    if (held === undefined || held.status === "creating") ask.externalIds.add(row.userId);
    if (typeof decision?.adopt === "string") ask.clerkUserIds.add(decision.adopt);
    ask.addresses.add(profile.email);
    if (held !== undefined) continue;
    if (profile.username !== "") usernames.add(profile.username);
    if (profile.phoneNumber !== "") phoneNumbers.add(profile.phoneNumber);
  }
  return {
    addresses: [...ask.addresses],
    externalIds: [...ask.externalIds],
    clerkUserIds: [...ask.clerkUserIds],
    usernames: [...usernames],
    phoneNumbers: [...phoneNumbers],
  };
}

function isHeldHere({ ledger, stack }: Records, userId: string): boolean {
  const entry = ledger.users.get(userId);
  return entry !== undefined && isHeld(entry) && entry.stack === stack;
}

function isForgotten({ ledger }: Records, { userId }: UserRow): boolean {
  return !ledger.users.has(userId);
}

/** One verdict for every row, before anything is written. Throws where a run must not start at all. */
export function makePlan(world: World, settings: PlanSettings): Plan {
  refuseOtherHolders(world, settings);
  const linkedRows = new Map(
    world.rows.flatMap((row) => (row.clerkUserId === null ? [] : [[row.clerkUserId, row.userId] as const])),
  );
  const judged = standings(world, settings).map((standing) => {
    const judgement =
      standing.held === undefined
        ? judgeNew(world, settings, standing, linkedRows)
        : judgeHeld(world, settings, standing, standing.held, linkedRows);
    return { ...standing, judged: judgement };
  });
  const { kept, removed } = goneRows(world, settings.allowRemovals);
  const planned = [
    ...withinBounds(judged, world, settings).map((standing) => plannedUser(world, settings, standing)),
    ...kept.map((user) => keptUser(world, user)),
  ];
  const users = withRetirement(world, settings, withMails(world, settings, planned));
  const findings = [...world.findings, ...instanceFindings(world.clerk, users, settings)];
  return {
    users,
    mails: world.mails,
    remindersOut: [...world.ledger.reminders.values()].flat().filter(isMailHeld).length,
    findings,
    removals: [
      ...removed.map(({ userId }) => ({ userId, why: "row-gone" as const })),
      ...users
        .filter(({ code, userId }) => code === "forgotten" && isHeldHere(world, userId))
        .map(({ userId }) => ({ userId, why: "forgotten" as const })),
    ],
    idleDecisions: idleDecisions(world.decisions, users),
  };
}

type JudgedRow = Omit<Standing, "judged"> & { readonly judged: Judged };

function judgeNew(
  world: World,
  settings: PlanSettings,
  { row, profile, decision, judged, passwords }: Standing,
  linkedRows: ReadonlyMap<string, string>,
): Judged {
  const { clerk } = world;
  if (judged?.code === "linked" && row.clerkUserId !== null) {
    const live = clerk.byId.get(row.clerkUserId);
    if (live === undefined) return judge("linked-to-nobody", row.clerkUserId);
    return isOurs(live, row.userId, world) ? { ...judge("made-already"), adopt: live.id } : judged;
  }
  if (judged?.code === "held-only") {
    const forgotten = clerk.byExternalId.get(row.userId);
    return forgotten !== undefined && isOurs(forgotten, row.userId, world)
      ? { ...judge("made-already"), adopt: forgotten.id }
      : judged;
  }
  if (judged !== undefined) return judged;
  const inClerk = clerkJudgement(clerk, claimOf(world, settings, { row, profile, decision }, linkedRows));
  if (inClerk !== undefined) return inClerk;
  const refused = instanceProblem(clerk.environment, profile, passwords, settings);
  if (refused !== undefined) return refused;
  if (passwords === "reset" && decision?.passwords === "reset") return judge("decided-reset");
  if (passwords !== settings.passwords) return judge("new-password");
  return passwords === "carry" && emailStatus(row, settings) === "reserved"
    ? judge("reserved-email")
    : judge("new");
}

/** Limit, percent and the room that the instance has, in the order of `user_id`: the same users every time. */
function withinBounds(
  rows: readonly JudgedRow[],
  world: World,
  settings: PlanSettings,
): readonly JudgedRow[] {
  const isTaken = ({ held, judged: { code } }: JudgedRow) => held !== undefined || code === "made-already";
  const isNew = (row: JudgedRow) =>
    !isTaken(row) && (row.judged.verdict === "create" || row.judged.verdict === "adopt");
  const heldCount = rows.filter(isTaken).length;
  let wave = waveRoom(settings, heldCount, rows.filter(isNew).length);
  const unfinished = rows.filter(
    ({ row, held }) => held?.status === "creating" && !world.clerk.byExternalId.has(row.userId),
  ).length;
  let room = world.clerk.room === null ? Infinity : world.clerk.room - unfinished;
  return rows.map((standing) => {
    if (!isNew(standing)) return standing;
    if (wave-- <= 0) return { ...standing, judged: judge("beyond-limit") };
    if (standing.judged.verdict !== "create") return standing;
    return room-- <= 0 ? { ...standing, judged: judge("no-room") } : standing;
  });
}

function plannedUser(
  world: World,
  settings: PlanSettings,
  { row, profile, entry, held, decision, judged, passwords }: JudgedRow,
): JudgedUser {
  const isLeftOut = judged.verdict === "excluded" || (judged.verdict === "blocked" && held === undefined);
  const isAdopted = hadAccount(world, { userId: row.userId, email: profile.email }, held, judged);
  const hasArrived = held?.clerkUserId != null && world.arrivals.has(held.clerkUserId);
  const declared: ClerkUserInputs | null = isLeftOut
    ? null
    : {
        userId: row.userId,
        label: maskedEmail(profile.email),
        stack: world.stack,
        migrationId: world.migrationId,
        passwords,
        // A digest that is gone from a row we hold means no change.
        profile: {
          ...profile,
          digestFingerprint: profile.digestFingerprint || (entry?.digestFingerprint ?? ""),
        },
        attempt: attemptOf(world, row, entry, held, judged.code),
        decidedEmail: decision?.email ?? "",
        emailStatus: emailStatus(row, settings),
        adopt: judged.adopt ?? "",
        recreate: judged.code === "recreate",
        isKept: false,
      };
  return {
    userId: row.userId,
    label: settings.reveal ? (decision?.email ?? row.email ?? "") : maskedEmail(profile.email),
    createdAt: profile.createdAt,
    verdict: judged.verdict,
    code: judged.code,
    reason: judged.reason,
    remedy: judged.remedy,
    notes: judged.verdict === "create" ? notesOf(world.clerk, row, profile) : [],
    newPassword:
      declared === null || isAdopted || hasArrived
        ? null
        : newPasswordOf(row, decision, passwords, declared.emailStatus),
    isAdopted,
    declared,
  };
}

/** An input that differs from the state's wherever something has to be done. */
function attemptOf(
  { now }: World,
  row: UserRow,
  entry: LedgerUser | undefined,
  held: LedgerUser | undefined,
  code: ReasonCode,
): number {
  if (code === "made-already") return forgottenAttempt(now);
  return (entry?.attempt ?? 1) + (mustBeRepeated(row, held, code) ? 1 : 0);
}

/** Somebody whose row is gone, and whom a decision keeps: declared as recorded. */
function keptUser(world: World, { userId, passwords, attempt, digestFingerprint }: LedgerUser): JudgedUser {
  return {
    ...judge("kept", world.decisions.get(userId)?.keep),
    ...{ userId, label: "***", createdAt: "", newPassword: null, notes: [], isAdopted: false },
    declared: {
      ...{ userId, label: "***", stack: world.stack, migrationId: world.migrationId, attempt },
      passwords: passwords ?? "reset",
      profile: { ...noProfile, digestFingerprint: digestFingerprint ?? "" },
      ...{ decidedEmail: "", emailStatus: "verified", adopt: "", recreate: false, isKept: true },
    },
  };
}

/** What the ledger records as done and has to be done again. */
function mustBeRepeated(row: UserRow, held: LedgerUser | undefined, code: ReasonCode): boolean {
  return code === "recreate" || (held?.status === "linked" && row.clerkUserId === null);
}

function emailStatus(
  row: UserRow,
  settings: Pick<Settings, "emailVerified" | "unverified">,
): ClerkUserInputs["emailStatus"] {
  return isEmailVerified(row, settings) || settings.unverified === "verify" ? "verified" : "reserved";
}

const unchanged = ["held", "held-banned", "held-deleted"] as const;

/** Which codes show that a decision is at work; an address, or staying behind, is for as long as the user is declared. */
const atWork: Readonly<Record<Exclude<keyof Decision, "email" | "leave" | "resend">, readonly ReasonCode[]>> =
  {
    skip: ["skipped"],
    adopt: ["adopt-decision", "not-adoptable", "cut-off-adoption", "linked-by-row", "beyond-limit"],
    passwords: ["decided-reset", ...unchanged, "reserved-email", "beyond-limit"],
    recreate: ["recreate"],
    forget: ["forgotten"],
    keep: ["kept", ...unchanged],
  };

function idleDecisions(decisions: Decisions, users: readonly PlannedUser[]): string[] {
  const byId = usersById(users);
  return [...decisions].flatMap(([userId, decision]) => {
    const user = byId.get(userId);
    if (user === undefined) return [userId];
    const { email, leave, resend, ...others } = decision;
    const isAtWork =
      (email !== undefined && user.declared !== null) ||
      (leave !== undefined && (user.declared !== null || user.code === "stays-behind")) ||
      (resend !== undefined && resend === user.unknownMail) ||
      (["skip", "keep", "adopt", "passwords", "recreate", "forget"] as const).some(
        (kind) => others[kind] !== undefined && atWork[kind].includes(user.code),
      );
    return isAtWork || user.verdict === "blocked" ? [] : [userId];
  });
}

const SHOWN = 5;

/**
 * Those of this stack whose rows are gone: whom a decision keeps, and whom this run removes. Throws where more would be removed
 * than the setting allows, since Pulumi deletes what a program no longer declares.
 */
function goneRows(
  world: Records,
  allowed: number,
): { readonly kept: readonly LedgerUser[]; readonly removed: readonly LedgerUser[] } {
  const present = new Set(world.rows.map((row) => row.userId));
  const held = [...world.ledger.users.values()].filter((user) => isHeld(user) && user.stack === world.stack);
  const absent = held.filter(({ userId }) => !present.has(userId));
  const isKept = ({ userId }: LedgerUser) => world.decisions.get(userId)?.keep !== undefined;
  const removed = absent.filter((user) => !isKept(user));
  if (removed.length <= allowed) return { kept: absent.filter(isKept), removed };
  const gone = removed.map(({ userId }) => userId);
  throw new MigrationError(
    "removals",
    `${gone.length.toString()} of the ${held.length.toString()} users that this stack holds are gone from the users table (${firstFew(gone, SHOWN)}), and going on would roll them back.`,
    `Check that DATABASE_URL names the right database. If they were deleted on purpose, run \`pulumi config set allowRemovals ${gone.length.toString()}\`.`,
  );
}

/** What people could write into decisions.yaml for this row. */
export function settlementsOf({ code }: Pick<PlannedUser, "code">) {
  return reasons[code].settle;
}
