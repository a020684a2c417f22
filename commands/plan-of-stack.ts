import { observeStack } from "../providers/observe";
import { makePlan, type Plan } from "../providers/plan";
import { explainDatabaseError, openDatabase } from "../providers/postgres/database";
import type { ChosenStack } from "./settings";

/** What `up` would do to every row of this stack now; writes nothing. */
export async function planOf(chosen: ChosenStack): Promise<Plan> {
  const database = openDatabase(chosen.settings.databaseUrl, 1);
  try {
    return makePlan(await observeStack(chosen.settings, database, chosen), chosen.settings);
  } catch (error) {
    throw explainDatabaseError(error);
  } finally {
    await database.end();
  }
}
