import { observeStack } from "../providers/observe";
import { makePlan, type Plan } from "../providers/plan";
import { withDatabase } from "./database";
import type { ChosenStack } from "./settings";

/** What `up` would do to every row of this stack now; writes nothing. */
export async function planOf(chosen: ChosenStack): Promise<Plan> {
  const { settings } = chosen;
  return withDatabase(settings.databaseUrl, async (database) =>
    makePlan(await observeStack(settings, database, chosen), settings),
  );
}
