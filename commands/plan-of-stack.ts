import { observeStack } from "../providers/observe";
import { makePlan } from "../providers/plan";
import type { Plan } from "../providers/planned";
import type { World } from "../providers/world";
import { withDatabase } from "./database";
import type { ChosenStack } from "./settings";

/** What both systems say of this stack now, and what `up` would do to every row; writes nothing. */
export async function planOf(chosen: ChosenStack): Promise<{ readonly world: World; readonly plan: Plan }> {
  const { settings } = chosen;
  return withDatabase(settings.databaseUrl, async (database) => {
    const world = await observeStack(settings, database, chosen);
    return { world, plan: makePlan(world, settings) };
  });
}
