import { openDatabase } from "../providers/postgres/database";
import { countUsers } from "../providers/postgres/legacy-users";
import { loadDotEnv } from "../providers/settings";
import { command } from "./command";
import { runPulumi } from "./pulumi-cli/run";

/** How many of the engine's operations run at once: enough for Clerk's production limit at 0.5 s a request. */
const PARALLEL = 50;

/** A file or bucket back end rewrites the whole state twice for every user: beyond this it is written once, at the end. */
const CHECKPOINTS_UP_TO = 300;

/** What each verb adds to plain Pulumi; `docs/commands.md` says the same in a sentence each. */
const flags: Readonly<Record<string, readonly string[]>> = {
  preview: [],
  up: ["--continue-on-error"],
  refresh: [],
  destroy: ["--continue-on-error"],
};

/** `npm run preview | up | refresh | destroy [-- <flags>]`: Pulumi with the flags and environment the docs recommend. */
void command(async ([verb = "", ...args]) => {
  loadDotEnv();
  const recommended = ["--parallel", PARALLEL.toString(), ...(flags[verb] ?? [])];
  return runPulumi([verb, ...recommended, ...args], { environment: await withCheckpoints(process.env) });
});

/** Skipping them is safe here, because a create takes up what a lost run has made. Set the variable to decide yourself. */
async function withCheckpoints(environment: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const isDecided = (environment.PULUMI_SKIP_CHECKPOINTS ?? "") !== "";
  if (isDecided || (await usersInTable(environment.DATABASE_URL)) <= CHECKPOINTS_UP_TO) return environment;
  return { ...environment, PULUMI_SKIP_CHECKPOINTS: "true" };
}

/** 0 where it cannot be found out: the program says what is wrong, in its own words. */
async function usersInTable(databaseUrl: string | undefined): Promise<number> {
  if (databaseUrl === undefined || !URL.canParse(databaseUrl)) return 0;
  const database = openDatabase(databaseUrl, 1);
  try {
    return (await countUsers(database)).total;
  } catch {
    return 0;
  } finally {
    await database.end();
  }
}
