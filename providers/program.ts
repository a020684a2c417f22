import * as pulumi from "@pulumi/pulumi";

import { declareUsers, settled } from "./declare";
import { MigrationError } from "./errors";
import { Migration } from "./migration/resource";
import { observeStack } from "./observe";
import { type StackOutputs, stackOutputs } from "./outputs";
import { describePlan, summaryLine } from "./plan-text";
import { countVerdicts, type Plan } from "./planned";
import { type Database, explainAndThrow, readOnly } from "./postgres/database";
import { readLedger } from "./postgres/ledger";
import { finishRun, readFigures, recordArrivals, startRun } from "./postgres/ledger-runs";
import { countUsers } from "./postgres/legacy-users";
import { withProgress } from "./progress";
import type { Settings } from "./settings";
import { stackName } from "./stack";
import type { World } from "./world";

/** Reads both systems, without writing: what is there before the run. */
export async function observe(settings: Settings, database: Database): Promise<World> {
  return observeStack(settings, database, { project: pulumi.getProject(), stack: stackName() });
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

/** Declares the stack's root, which makes the ledger, and notes there that a run has begun. */
export async function begin(
  world: World,
  plan: Plan,
  settings: Settings,
  database: Database,
): Promise<{ migration: Migration; run: Run }> {
  const { project, stack, clerkInstanceId } = world;
  const migration = new Migration({ project, stack, clerkInstanceId });
  const ready = await settled(migration);
  if (pulumi.runtime.isDryRun() || !ready)
    return { migration, run: { settings, database, world, plan, id: undefined } };
  const id = await startRun(database, {
    stack,
    clerkInstanceId,
    operator: process.env.GITHUB_ACTOR ?? process.env.USER ?? null,
    commit: process.env.GITHUB_SHA ?? null,
    planned: countVerdicts(plan),
  });
  return { migration, run: { settings, database, world, plan, id } };
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
    ledger: await readLedger(connection, stack),
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
    await recordArrivals(database, stack, world.arrivals).catch(explainAndThrow);
    await finishRun(database, id, known.summary).catch(explainAndThrow);
  }
  const isChanging = plan.users.some(
    ({ declared, verdict, told, retire }) =>
      declared !== null && (verdict !== "unchanged" || told === "now" || retire === "now"),
  );
  if (!pulumi.runtime.isDryRun() || !isChanging) return { ...known };
  return Object.fromEntries(Object.keys(known).map((name) => [name, pulumi.output(pulumi.unknown)]));
}
