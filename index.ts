import { makePlan } from "./providers/plan";
import { openDatabase } from "./providers/postgres/database";
import { announce, begin, declare, observe, outputs } from "./providers/program";
import { presentingErrors, stackSettings } from "./providers/stack";

/** Settings, plan, resources, outputs: a dry run in `pulumi preview`, the migration in `pulumi up`. */
export = () =>
  presentingErrors(async () => {
    const settings = stackSettings();
    const database = openDatabase(settings.databaseUrl);

    const world = await observe(settings, database);
    const plan = makePlan(world, settings);
    await announce(plan, settings);

    const { migration, run } = await begin(world, plan, settings, database);
    await declare(run, migration);
    return outputs(run);
  });
