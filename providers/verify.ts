import type { Clerk } from "./clerk/client";
import { type ClerkUser, isOurMark, isOurs } from "./clerk/user";
import { conditionOf, withDecidedEmail } from "./clerk-user/condition";
import { type Finding, finding } from "./findings";
import { firstFew } from "./first-few";
import { forgottenUsers, ledgerForgets, type Remembered } from "./lost-migration";
import { countVerdicts, type Plan } from "./planned";
import { isHeld, type LedgerUser } from "./postgres/ledger";
import type { UserRow } from "./postgres/legacy-users";
import { rowsById } from "./verdicts/same-id";
import type { World } from "./world";

/** What both systems say after a migration, as far as the promises of one stack reach. */
export interface Evidence {
  readonly world: World;
  readonly plan: Plan;
  /** Every user of the Clerk instance. */
  readonly clerkUsers: readonly ClerkUser[];
  /** Rows of each table that refers to the users table, and how many of them refer to nobody. */
  readonly references: readonly { readonly table: string; readonly rows: number; readonly lost: number }[];
  /** `user_id` of each canary, and whether Clerk takes its password; null where it could not be asked. */
  readonly canaries: readonly { readonly name: string; readonly isRight: boolean | null }[];
  /** Whether the database has a ledger at all. */
  readonly isLedgerThere: boolean;
  /** How many users the stack's state lists; null where the state could not be read. */
  readonly inState: number | null;
}

const SHOWN = 5;

/** One finding for each check; every one that is not ok says who and what to do. Pure. */
export function judgeEvidence(evidence: Evidence): Finding[] {
  const held = [...evidence.world.ledger.users.values()].filter(
    (user) => isHeld(user) && user.stack === evidence.world.stack,
  );
  const everybody = {
    byId: new Map(evidence.clerkUsers.map((user) => [user.id, user])),
    byExternalId: new Map(evidence.clerkUsers.map((user) => [user.externalId ?? "", user])),
  };
  const forgotten = forgottenUsers(evidence.world, everybody, evidence.world);
  const known = memory({ ...evidence.world, clerk: everybody }, evidence.isLedgerThere);
  const ofLedger = [remaining(evidence), unfinished(held), links(evidence, held), conditions(evidence, held)];
  return [
    known,
    ...ofLedger.map((found) => (known.status === "ok" ? found : untold(found))),
    orphans(evidence, held, forgotten),
    earlierLinks(evidence, forgotten),
    ...evidence.references.map(reference),
    ...evidence.canaries.map(canary),
    state(evidence, held.length),
  ];
}

/** Fine where nobody is wrong; otherwise who is, and what to do. */
function about(
  check: string,
  wrong: readonly string[],
  fine: string,
  broken: string,
  remedy: string,
): Finding {
  return wrong.length === 0
    ? finding(check, "ok", fine)
    : finding(check, "problem", `${wrong.length.toString()} ${broken}: ${firstFew(wrong, SHOWN)}.`, remedy);
}

export const MEMORY = "verify/memory";

/** Whether the ledger knows everybody whom this stack has made: what the other checks say goes by it. */
function memory(world: Remembered, isLedgerThere: boolean): Finding {
  const problem = ledgerForgets(world);
  if (problem !== undefined) return finding(MEMORY, "problem", problem.reason, problem.remedy);
  if (isLedgerThere)
    return finding(
      MEMORY,
      "ok",
      "The ledger knows everybody in Clerk who carries this stack's mark and is in the table.",
    );
  return finding(
    MEMORY,
    "problem",
    `There is no ledger in this database (schema clerk_migration): ${world.stack} has migrated nobody here.`,
    "Check DATABASE_URL, or run `npm run up`.",
  );
}

/** Nothing wrong among those whom the ledger knows says nothing of the others. */
function untold(found: Finding): Finding {
  return found.status === "ok"
    ? finding(
        found.check,
        "unknown",
        "The ledger does not know everybody, so this cannot be told.",
        `Settle ${MEMORY} first.`,
      )
    : found;
}

/** Rows that a run would still do something about, and rows that are blocked. */
function remaining({ plan }: Evidence): Finding {
  const counts = countVerdicts(plan);
  const open = plan.users.filter(({ verdict }) => verdict !== "unchanged" && verdict !== "excluded");
  return about(
    "verify/remaining",
    open.map(({ userId, verdict }) => `${userId} (${verdict})`),
    `Nothing is left to do: ${counts.unchanged.toString()} users are migrated, ${counts.excluded.toString()} rows are left out.`,
    "rows are not done with",
    "Run up; preview says what is blocked and why.",
  );
}

function unfinished(held: readonly LedgerUser[]): Finding {
  return about(
    "verify/ledger",
    held.filter(({ status }) => status !== "linked").map(({ userId, status }) => `${userId} (${status})`),
    `The ledger holds ${held.length.toString()} users, all linked.`,
    "users of the ledger were cut off",
    "Run up, or destroy, again: it goes on from there.",
  );
}

function links({ world }: Evidence, held: readonly LedgerUser[]): Finding {
  const rows = rowsById(world);
  const wrong = held.filter(
    ({ userId, clerkUserId, status }) =>
      status === "linked" && (rows.get(userId)?.clerkUserId ?? null) !== clerkUserId,
  );
  return about(
    "verify/links",
    wrong.map(({ userId }) => userId),
    "Every link in the table is the one in the ledger.",
    "rows are linked otherwise than the ledger says, or are gone",
    "Refresh names each; up sets links again that were lost.",
  );
}

/** Whether each migrated user exists in Clerk, is ours, and has the address of the row. */
function conditions({ world, clerkUsers }: Evidence, held: readonly LedgerUser[]): Finding {
  const live = new Map(clerkUsers.map((user) => [user.id, user]));
  const rows = rowsById(world);
  const doubled = doubledLinks(world);
  const wrong = held.flatMap(({ userId, clerkUserId, status }) => {
    if (status !== "linked" || clerkUserId === null) return [];
    const row: UserRow | undefined = withDecidedEmail(
      rows.get(userId),
      world.decisions.get(userId)?.email ?? "",
    );
    const linked = row === undefined ? undefined : { ...row, isDoubled: doubled.has(row.clerkUserId) };
    const condition = conditionOf(userId, linked, live.get(clerkUserId), world);
    return condition === "ok" ? [] : [`${userId} (${condition})`];
  });
  return about(
    "verify/clerk",
    wrong,
    "Every migrated user is in Clerk, ours, and has the address of the row.",
    "migrated users are not as they were made",
    "docs/failures.md says what each condition means; nothing of a person's is repaired by overwriting it.",
  );
}

/** Links that more than one row has. */
function doubledLinks({ rows }: World): ReadonlySet<string | null> {
  const [seen, doubled] = [new Set<string>(), new Set<string>()];
  for (const { clerkUserId } of rows) {
    if (clerkUserId === null) continue;
    if (seen.has(clerkUserId)) doubled.add(clerkUserId);
    seen.add(clerkUserId);
  }
  return doubled;
}

/** Clerk users with our mark whom neither ledger nor table knows. */
function orphans(
  { world, clerkUsers }: Evidence,
  held: readonly LedgerUser[],
  forgotten: ReadonlySet<string>,
): Finding {
  const known = new Set(held.map(({ clerkUserId }) => clerkUserId));
  const mine = clerkUsers.filter(({ mark }) => isOurMark(mark, world));
  return about(
    "verify/orphans",
    mine
      .filter((user) => !known.has(user.id) && !forgotten.has(user.externalId ?? ""))
      .map((user) => user.id),
    "Nobody in Clerk carries our mark without a row of the table.",
    "Clerk users carry our mark, and neither ledger nor table knows them",
    "Check that DATABASE_URL names the right database. Run up: it takes up whom it made. Delete the others in Clerk's dashboard only if they are nobody's.",
  );
}

function earlierLinks({ world, clerkUsers }: Evidence, forgotten: ReadonlySet<string>): Finding {
  const live = new Map(clerkUsers.map((user) => [user.id, user]));
  const others = world.rows.filter(
    ({ userId, clerkUserId }) =>
      clerkUserId !== null && world.ledger.users.get(userId)?.status !== "linked" && !forgotten.has(userId),
  );
  const wrong = others.filter(({ userId, clerkUserId }) => {
    const user = clerkUserId === null ? undefined : live.get(clerkUserId);
    return user === undefined || isOurs(user, userId, world);
  });
  return about(
    "verify/earlier-links",
    wrong.map(({ userId }) => userId),
    `The ${others.length.toString()} rows that were linked by others still lead to somebody in Clerk.`,
    "rows that were linked by others lead to nobody",
    "Clear their clerk_user_id, or correct it.",
  );
}

function reference({ table, rows, lost }: Evidence["references"][number]): Finding {
  const check = `verify/table ${table}`;
  if (lost === 0) return finding(check, "ok", `All ${rows.toString()} rows belong to somebody.`);
  return finding(
    check,
    "problem",
    `${lost.toString()} of ${rows.toString()} rows refer to users who are not there.`,
    "The migration deletes no row: look for whoever did.",
  );
}

function canary({ name, isRight }: Evidence["canaries"][number]): Finding {
  const check = `verify/canary ${name}`;
  if (isRight === true) return finding(check, "ok", "Clerk takes the carried password.");
  if (isRight === null) {
    return finding(
      check,
      "unknown",
      "The canary is not a migrated user of this stack.",
      "Migrate it, or correct CANARY_EMAIL.",
    );
  }
  return finding(
    check,
    "problem",
    "Clerk does not take the password of the canary.",
    "Correct CANARY_PASSWORD; if it is right, carried hashes do not work: roll back and look at one.",
  );
}

/** A destroy goes by the state; what only the ledger holds, it would leave behind. */
function state({ inState }: Evidence, held: number): Finding {
  const check = "verify/state";
  if (inState === null) {
    return finding(
      check,
      "unknown",
      "The stack's state could not be read.",
      "Log in to its back end (`pulumi login`) and name the stack.",
    );
  }
  const listed = `The stack's state lists ${inState.toString()} users`;
  if (inState === held) return finding(check, "ok", `${listed}.`);
  if (inState > held)
    return finding(
      check,
      "problem",
      `${listed}, but the ledger holds ${held.toString()}: it was dropped, or is from an older backup, or DATABASE_URL leads to another database.`,
      "Correct DATABASE_URL, or restore the schema clerk_migration; otherwise run up: it takes up whom links and marks name.",
    );
  return finding(
    check,
    "problem",
    `${listed}, but the ledger holds ${held.toString()}: a plain destroy would not see the others.`,
    "Run up on a stack of the same name: it takes everybody up again. Then destroy works.",
  );
}

/** Asks Clerk whether this is the user's password. null where nobody with this address is held. */
export async function tryCanary(
  clerk: Clerk,
  plan: Plan,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<Evidence["canaries"][number]> {
  const user = plan.users.find(({ declared }) => declared?.profile.email === email.trim().toLowerCase());
  const live = user === undefined ? undefined : await clerk.userByExternalId(user.userId);
  return {
    name: user?.userId ?? "unknown",
    isRight: live === undefined ? null : await clerk.isPassword(live.id, password),
  };
}
