import { observeStack } from "../providers/observe";
import { makePlan } from "../providers/plan";
import { type Plan } from "../providers/planned";
import { withDatabase } from "./database";
import type { ChosenStack } from "./settings";

/** What `up` would do to every row of this stack now; writes nothing. */
export async function planOf(chosen: ChosenStack): Promise<Plan> {
  const { settings } = chosen;
  return withDatabase(settings.databaseUrl, async (database) =>
    makePlan(await observeStack(settings, database, chosen), settings),
  );
}
