import * as pulumi from "@pulumi/pulumi";

import { declareUsers, settled } from "./declare";
import { MigrationError } from "./errors";
import { Migration } from "./migration/resource";
import { observeStack } from "./observe";
import { type StackOutputs, stackOutputs } from "./outputs";
import { describePlan, summaryLine } from "./plan-text";
import { countVerdicts, type Plan, type PlannedUser } from "./planned";
import { type Database, explainAndThrow, readOnly, writing } from "./postgres/database";
import { readLedger } from "./postgres/ledger";
import { joinMigration, newMigrationId, takeOverFrom } from "./postgres/ledger-migrations";
import { recordForgotten } from "./postgres/ledger-notifications";
import { finishRun, readFigures, recordArrivals, startRun } from "./postgres/ledger-runs";
import { ensureLedger, upgradeLedger } from "./postgres/ledger-steps";
import { countUsers } from "./postgres/legacy-users";
import { tableProblem } from "./postgres/link-problems";
import { withProgress } from "./progress";
import { engineOfProgram } from "./removal-guard";
import { NOBODY, type Settings } from "./settings";
import { stackName } from "./stack";
import type { World } from "./world";

/** What is there before the run, on both sides. A run that writes first brings an older ledger to today's form. */
export async function observe(settings: Settings, database: Database): Promise<World> {
  const isDryRun = pulumi.runtime.isDryRun();
  if (!isDryRun) await upgradeLedger(database).catch(explainAndThrow);
  const world = await observeStack(settings, database, { stack: stackName() });
  // A run that writes gives a new migration its id; a dry run leaves it open.
  return isDryRun ? world : { ...world, migrationId: world.migrationId || newMigrationId() };
}

/** A dry run shows every verdict; a run says in one line what it sets out to do. Throws where `strict` forbids to go on. */
export async function announce(plan: Plan, settings: Settings): Promise<void> {
  await pulumi.log.info(pulumi.runtime.isDryRun() ? describePlan(plan, settings) : summaryLine(plan));
  const { blocked } = countVerdicts(plan);
  if (!settings.strict || blocked === 0) return;
  throw new MigrationError(
    "strict",
    `${blocked.toString()} rows are blocked, and strict is set.`,
    "Settle them (`pulumi preview` says how), or set strict to false.",
  );
}

export interface Run {
  readonly settings: Settings;
  readonly database: Database;
  readonly world: World;
  readonly plan: Plan;
  /** The number in the ledger; undefined in a dry run, which writes nothing. */
  readonly id: string | undefined;
}

/**
 * Makes the ledger, or brings it up to date, and commits there that a run has begun and whom it may remove; then declares the
 * stack's root. Throws where any of it fails: a program that ends with an error lets the engine delete nobody.
 */
export async function begin(
  world: World,
  plan: Plan,
  settings: Settings,
  database: Database,
): Promise<{ migration: Migration; run: Run }> {
  const { stack, clerkInstanceId, migrationId } = world;
  const isDryRun = pulumi.runtime.isDryRun();
  if (!isDryRun) await refuseTableWithoutLinks(plan, settings, database);
  const id = isDryRun ? undefined : await writeDown(world, plan, settings, database);
  const migration = new Migration({ stack, clerkInstanceId, migrationId });
  const ready = await settled(migration);
  if (!isDryRun && !ready)
    throw new MigrationError(
      "root",
      "The root of the stack could not be made or kept.",
      "See the error above.",
    );
  return { migration, run: { settings, database, world, plan, id } };
}

/** Answers the number of the run. */
async function writeDown(world: World, plan: Plan, settings: Settings, database: Database): Promise<string> {
  await ensureLedger(database);
  const owner = await joinMigration(database, world, world.link);
  return writing(database, async (connection) => {
    if (settings.takeOver !== undefined && settings.takeOver !== NOBODY)
      await takeOverFrom(connection, owner, settings.takeOver);
    await recordForgotten(connection, owner, world.forgottenMails);
    return startRun(connection, {
      owner,
      engine: engineOfProgram(),
      removable: plan.removals.map(({ userId }) => userId),
      operator: process.env.GITHUB_ACTOR ?? process.env.USER ?? null,
      commit: process.env.GITHUB_SHA ?? null,
      planned: countVerdicts(plan),
    });
  });
}

/** Before anybody is made in Clerk: a link is tried on rows of the plan, each in a transaction that is rolled back. */
async function refuseTableWithoutLinks(plan: Plan, { table }: Settings, database: Database): Promise<void> {
  const isNew = ({ verdict, declared }: PlannedUser) =>
    declared !== null && (verdict === "create" || verdict === "adopt" || verdict === "resume");
  const rows = plan.users.filter(isNew);
  // One row may be at fault alone: only a table that takes none of three stops everybody.
  const tried = [rows.at(0), rows.at(rows.length >> 1), rows.at(-1)].flatMap((row) => row?.userId ?? []);
  const problem = await tableProblem(database, table, [...new Set(tried)]);
  if (problem === undefined) return;
  throw new MigrationError(
    problem.code,
    `A trial link, rolled back, failed, so nobody was created in Clerk. ${problem.reason}`,
    problem.remedy,
  );
}

/** Declares everybody, and says on the way how far it is: in the status column of a terminal, as lines elsewhere. */
export async function declare({ plan, database, id }: Run, migration: Migration): Promise<void> {
  const total = plan.users.filter(({ declared }) => declared !== null).length;
  const repeated = async () => (id === undefined ? 0 : (await readFigures(database, id)).repeated);
  await withProgress(
    total,
    repeated,
    (line) => pulumi.log.info(line, undefined, undefined, true),
    (onDone) => declareUsers(plan, migration, onDone),
  );
}

/** What the stack exports: what table and ledger say after the run. A dry run that changes something cannot know. */
export async function outputs({
  settings,
  database,
  world,
  plan,
  id,
}: Run): Promise<Record<string, unknown>> {
  const { stack, clerkInstanceId } = world;
  const after = await readOnly(database, async (connection) => ({
    counts: await countUsers(connection, settings.table),
    ledger: await readLedger(connection, world),
  }));
  const known: StackOutputs = stackOutputs(
    plan,
    stack,
    clerkInstanceId,
    after.counts,
    after.ledger,
    settings,
    world,
  );
  if (id !== undefined) {
    await recordArrivals(database, world, world.arrivals).catch(explainAndThrow);
    await finishRun(database, id, known.summary).catch(explainAndThrow);
  }
  const isChanging = plan.users.some(
    ({ declared, verdict, notifications, retire }) =>
      declared !== null &&
      (verdict !== "unchanged" || retire === "now" || notifications.some(({ maySend }) => maySend)),
  );
  if (!pulumi.runtime.isDryRun() || !isChanging) return { ...known };
  return Object.fromEntries(Object.keys(known).map((name) => [name, pulumi.output(pulumi.unknown)]));
}
