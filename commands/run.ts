import { parseArgs } from "node:util";

import { MigrationError } from "../providers/errors";
import { firstFew } from "../providers/first-few";
import { isHeld, readLedger } from "../providers/postgres/ledger";
import { countUsers } from "../providers/postgres/legacy-users";
import { loadDotEnv } from "../providers/settings";
import { command } from "./command";
import { withDatabase } from "./database";
import { adviceFor, isAlive } from "./locked";
import { planOf } from "./plan-of-stack";
import { runPulumi } from "./pulumi-cli/run";
import { PROJECT, settingsOfStack, type StackChoice, stackOptions } from "./settings";
import { pendingMails, untilDone } from "./until-done";

/** How many of the engine's operations run at once: enough for Clerk's production limit at 0.5 s a request. */
const PARALLEL = 50;

/** A file or bucket back end rewrites the whole state twice for every user: beyond this it is written once, at the end. */
const CHECKPOINTS_UP_TO = 300;

/** Stays until every mail is out. */
const UNTIL_DONE = "--until-done";

/** What each verb adds to plain Pulumi; `docs/commands.md` says the same in a sentence each. */
const flags = {
  preview: [],
  up: ["--continue-on-error"],
  refresh: [],
  destroy: ["--continue-on-error"],
} as const;

type Verb = keyof typeof flags;

/** `npm run preview | up | refresh | destroy [-- <flags>]`: Pulumi with the flags and environment the docs recommend. */
void command(async ([verb = "", ...args]) => {
  loadDotEnv();
  if (!isVerb(verb)) throw new Error(`npm run has no ${verb}`);
  if (verb === "destroy") return destroy(args);
  return verb === "up" && args.includes(UNTIL_DONE) ? upUntilDone(args) : run(verb, args);
});

function isVerb(word: string): word is Verb {
  return word in flags;
}

async function run(
  verb: Verb,
  args: readonly string[],
  forced: Record<string, string> = {},
): Promise<number> {
  const recommended = ["--parallel", PARALLEL.toString(), ...flags[verb]];
  let errors = "";
  const exitCode = await runPulumi([verb, ...recommended, ...args], {
    environment: { ...(await withCheckpoints(process.env, args)), ...forced },
    onErrors: (text) => (errors += text),
  });
  const advice = exitCode === 0 ? undefined : adviceFor(errors, isAlive);
  if (advice !== undefined) process.stderr.write(`${advice}\n`);
  return exitCode;
}

async function upUntilDone(args: readonly string[]): Promise<number> {
  const own = args.filter((arg) => arg !== UNTIL_DONE);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      stopping.abort();
    });
  }
  return untilDone({
    // Whoever has agreed to the first one has agreed to its repetitions.
    up: (isFirst) => run("up", isFirst ? own : [...own, "--yes", "--skip-preview"]),
    pending: async () => {
      const chosen = await settingsOfStack(stackOf(own));
      return pendingMails((await planOf(chosen)).plan, chosen.settings);
    },
    say: (line) => process.stdout.write(`${line}\n`),
    signal: stopping.signal,
  });
}

/**
 * First lets the state know everybody whom the ledger holds (a run that was cut off may have left some out), then
 * rolls back, then says how many are left. `--user <user_id>` rolls back one alone.
 */
async function destroy(args: readonly string[]): Promise<number> {
  const options = { ...stackOptions, user: { type: "string" } } as const;
  const { values, tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const named = stackOf(args);
  const stack = named.stack ?? (await selectedStack());
  const configFile = named["config-file"];
  const where = ["--stack", stack, ...(configFile === undefined ? [] : ["--config-file", configFile])];
  const isOurs = (index: number) =>
    tokens.some(
      (token) =>
        token.kind === "option" &&
        ["user", "stack", "config-file"].includes(token.name) &&
        (token.index === index || (token.inlineValue === false && token.index + 1 === index)),
    );
  const rest = args.filter((_, index) => !isOurs(index));
  const userId = typeof values.user === "string" ? values.user : undefined;
  if (userId !== undefined) return destroyOne(userId, stack, where, rest);

  process.stdout.write("Before the rollback: whom the ledger holds and the state does not know.\n");
  await run("up", [...where, "--yes", "--skip-preview", "--suppress-outputs"], { MIGRATE_HELD_ONLY: "true" });
  const exitCode = await run("destroy", [...where, ...rest]);
  const left = await heldUsers({ ...named, stack });
  if (left.length === 0) return exitCode;
  throw new MigrationError(
    "rollback-incomplete",
    `${left.length.toString()} users were not rolled back: ${firstFew(left, 10)}.`,
    "The reason for each stands above; mend it, or force it, and run the command again.",
  );
}

async function destroyOne(
  userId: string,
  stack: string,
  where: readonly string[],
  rest: readonly string[],
): Promise<number> {
  const type = "pulumi-nodejs:dynamic/clerk:Migration$pulumi-nodejs:dynamic/clerk:User";
  const urn = `urn:pulumi:${stack}::${PROJECT}::${type}::${userId}`;
  const exitCode = await run("destroy", [...where, "--target", urn, "--target-dependents", ...rest]);
  if (exitCode !== 0) return exitCode;
  const today = new Date().toISOString().slice(0, 10);
  process.stdout.write(
    `The next up would take this user on again. To keep it from that, put into decisions.yaml:\n\n${userId}:\n  skip: rolled back on ${today}\n`,
  );
  return 0;
}

async function selectedStack(): Promise<string> {
  let name = "";
  const exitCode = await runPulumi(["stack", "--show-name", "--non-interactive"], {
    onOutput: (text) => (name += text),
  });
  if (exitCode === 0 && name.trim() !== "") return name.trim();
  throw new MigrationError(
    "stack",
    "No stack is selected.",
    "Select one with `pulumi stack select`, or name it with --stack.",
  );
}

/** Skipping them is safe here, because a create takes up what a lost run has made. Set the variable to decide yourself. */
async function withCheckpoints(
  environment: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<NodeJS.ProcessEnv> {
  const isDecided = (environment.PULUMI_SKIP_CHECKPOINTS ?? "") !== "";
  if (isDecided || (await usersInTable(args)) <= CHECKPOINTS_UP_TO) return environment;
  return { ...environment, PULUMI_SKIP_CHECKPOINTS: "true" };
}

/** 0 where it cannot be found out: the program says what is wrong, in its own words. */
async function usersInTable(args: readonly string[]): Promise<number> {
  try {
    const { settings } = await settingsOfStack(stackOf(args));
    const counts = await withDatabase(settings.databaseUrl, (database) =>
      countUsers(database, settings.table),
    );
    return counts.total;
  } catch {
    return 0;
  }
}

async function heldUsers(choice: StackChoice): Promise<string[]> {
  const { settings, stack } = await settingsOfStack(choice);
  const { users } = await withDatabase(settings.databaseUrl, (database) => readLedger(database, stack));
  return [...users.values()]
    .filter((user) => user.stack === stack && isHeld(user))
    .map((user) => user.userId);
}

/** Which stack Pulumi's own arguments name. */
function stackOf(args: readonly string[]): StackChoice {
  const { values } = parseArgs({ args: [...args], options: stackOptions, strict: false });
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return { stack: text(values.stack), "config-file": text(values["config-file"]) };
}
