import { arrivalsOf } from "../funnel";
import { ledgerForgets } from "../lost-migration";
import { observeStack } from "../observe";
import { stackOutputs } from "../outputs";
import { makePlan } from "../plan";
import { type Database, readOnly } from "../postgres/database";
import { numberedRuns } from "../postgres/ledger-events";
import { countUsers } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import type { ReportFacts } from "./model";

/** Reads both systems, without writing. Throws where the ledger does not know everybody: its numbers would be wrong. Addresses are whole where the settings reveal them. */
export async function gatherReport(
  settings: Settings,
  database: Database,
  owner: { readonly project: string; readonly stack: string },
): Promise<ReportFacts> {
  const world = await observeStack(settings, database, owner);
  const forgets = ledgerForgets(world);
  if (forgets !== undefined) throw forgets;
  const plan = makePlan(world, settings);
  const { stack, clerkInstanceId, ledger, now } = world;
  const { counts, runs } = await readOnly(database, async (connection) => ({
    counts: await countUsers(connection, settings.table),
    runs: await numberedRuns(connection, stack),
  }));
  return {
    ...{ stack, clerkInstanceId, plan, ledger, runs, settings, now },
    isRevealed: settings.reveal,
    arrivals: arrivalsOf(world),
    outputs: stackOutputs(plan, stack, clerkInstanceId, counts, ledger, settings, world),
  };
}
