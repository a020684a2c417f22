import { canariesIn } from "../providers/canaries";
import { clerkOf, observeStack } from "../providers/observe";
import { makePlan } from "../providers/plan";
import { readOnly } from "../providers/postgres/database";
import { hasLedger } from "../providers/postgres/ledger-steps";
import { readReferences } from "../providers/postgres/references";
import { type Evidence, tryCanary } from "../providers/verify";
import { withDatabase } from "./database";
import type { ChosenStack } from "./settings";
import { usersInState } from "./state";

/** What both systems and the state say of a stack; writes nothing. */
export async function gatherEvidence(chosen: ChosenStack): Promise<Evidence> {
  const { settings } = chosen;
  // One limiter in front of every request.
  const clerk = clerkOf(settings);
  return withDatabase(settings.databaseUrl, async (database) => {
    const world = await observeStack(settings, database, chosen, clerk);
    const plan = makePlan(world, settings);
    const isLedgerThere = await readOnly(database, hasLedger);
    const references = await readOnly(database, (connection) => readReferences(connection, settings.table));
    const clerkUsers = await clerk.allUsers();
    const canaries: Evidence["canaries"][number][] = [];
    for (const canary of canariesIn(process.env)) canaries.push(await tryCanary(clerk, plan, canary));
    return {
      world,
      plan,
      clerkUsers,
      references,
      canaries,
      isLedgerThere,
      inState: (await usersInState(chosen))?.length ?? null,
    };
  });
}
