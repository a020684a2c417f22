import { parseArgs } from "node:util";

import { MigrationError } from "../providers/errors";
import { firstFew } from "../providers/first-few";
import { ledgerForgets } from "../providers/lost-migration";
import { readLedgerVersion } from "../providers/postgres/ledger-steps";
import { heldBy } from "../providers/postgres/ledger-users";
import { countUsers } from "../providers/postgres/legacy-users";
import { loadDotEnv } from "../providers/settings";
import { helpOf, withExitCode } from "./command";
import { withDatabase } from "./database";
import { adviceFor, isAlive } from "./locked";
import { planOf } from "./plan-of-stack";
import { runPulumi } from "./pulumi-cli/run";
import { rollbackTarget } from "./rollback-target";
import { type SelectedStack, selectStack, type StackChoice } from "./selected-stack";
import { settingsOf, stackFlags } from "./settings";
import { usersInState } from "./state";
import { pendingMails, untilDone } from "./until-done";

/** How many of the engine's operations run at once: enough for Clerk's production limit at 0.5 s a request. */
const PARALLEL = 50;

/** A file or bucket back end rewrites the whole state twice for every user: beyond this it is written once, at the end. */
const CHECKPOINTS_UP_TO = 300;

/** What each verb adds to plain Pulumi; `docs/commands.md` says the same in a sentence each. */
const verbs = {
  preview: { recommended: [], says: "Says what `up` would do to every row, and writes nothing.", own: {} },
  up: {
    recommended: ["--continue-on-error"],
    says: "Migrates, and tells the users.",
    own: {
      "until-done": {
        type: "boolean",
        says: "stays and runs again until every mail is out; Ctrl-C stops it",
      },
    },
  },
  refresh: { recommended: [], says: "Looks at every migrated user in Clerk.", own: {} },
  destroy: {
    recommended: ["--continue-on-error"],
    says: "Rolls back, and says who could not be.",
    own: { user: { type: "string", value: "user_id", says: "only this user" } },
  },
} as const;

type Verb = keyof typeof verbs;

const UNTIL_DONE = "--until-done";
const USER = "--user";

/** Pulumi's: a rollback that only says what it would do. */
const PREVIEW_ONLY = "--preview-only";

const valued = {
  stack: { type: "string", short: "s" },
  "config-file": { type: "string" },
  user: { type: "string" },
} as const;

/** `npm run preview | up | refresh | destroy [-- <flags>]`: Pulumi with the flags and environment the docs recommend. */
void withExitCode(async ([verb = "", ...args]) => {
  loadDotEnv();
  if (!isVerb(verb)) throw new Error(`npm run has no ${verb}`);
  if (args.includes("--help") || args.includes("-h")) return help(verb);
  if (verb === "destroy") refuseRunProgram(args);
  const selected = await selectStack(stackOf(args));
  if (verb === "destroy") return destroy(selected, args);
  return verb === "up" && args.includes(UNTIL_DONE)
    ? upUntilDone(selected, without(UNTIL_DONE, args))
    : run(verb, selected, args);
});

function isVerb(word: string): word is Verb {
  return word in verbs;
}

/** Ours first, then Pulumi's, which knows the other flags. */
async function help(verb: Verb): Promise<number> {
  const { says, own } = verbs[verb];
  const text = helpOf({ usage: `npm run ${verb}`, says, flags: { ...stackFlags, ...own } });
  process.stdout.write(`${text}\nAll other flags are Pulumi's:\n\n`);
  return runPulumi([verb, "--help"]);
}

/** A rollback is one because no program runs; with the program, Pulumi deletes whom it does not declare, at its end. */
function refuseRunProgram(args: readonly string[]): void {
  const isAsked = args.some((arg) => arg === "--run-program" || /^--run-program=(1|t|true)$/i.test(arg));
  const isOff = args.some((arg) => /^--run-program=(0|f|false)$/i.test(arg));
  const isInEnvironment = /^(1|t|true)$/i.test(process.env.PULUMI_RUN_PROGRAM ?? "");
  if (!isAsked && (isOff || !isInEnvironment)) return;
  throw new MigrationError(
    "run-program",
    `A rollback runs without the program, so ${isAsked ? "--run-program" : "PULUMI_RUN_PROGRAM"} is refused.`,
    "Leave it out: what the provider needs comes from the environment and from the state.",
  );
}

async function run(
  verb: Verb,
  selected: SelectedStack,
  args: readonly string[],
  forced: Record<string, string> = {},
): Promise<number> {
  const recommended = ["--parallel", PARALLEL.toString(), ...verbs[verb].recommended];
  let errors = "";
  const exitCode = await runPulumi([verb, ...recommended, ...args, ...selected.cliFlags], {
    environment: { ...(await withCheckpoints(verb, selected)), ...forced },
    onErrors: (text) => (errors += text),
  });
  const advice = exitCode === 0 ? undefined : adviceFor(errors, isAlive);
  if (advice !== undefined) process.stderr.write(`${advice}\n`);
  return exitCode;
}

async function upUntilDone(selected: SelectedStack, args: readonly string[]): Promise<number> {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      stopping.abort();
    });
  }
  return untilDone({
    // Whoever has agreed to the first one has agreed to its repetitions.
    up: (isFirst) => run("up", selected, isFirst ? args : [...args, "--yes", "--skip-preview"]),
    pending: async () => {
      const settings = await settingsOf(selected);
      return pendingMails((await planOf({ ...selected, settings })).plan, settings);
    },
    say: (line) => process.stdout.write(`${line}\n`),
    signal: stopping.signal,
  });
}

/**
 * First lets the state know everybody whom the ledger holds (a run that was cut off may have left some out), then
 * rolls back, then says how many are left. `--user <user_id>` rolls back one alone.
 */
async function destroy(selected: SelectedStack, args: readonly string[]): Promise<number> {
  const userId = userOf(args);
  if (userId !== undefined) return destroyOne(selected, userId, without(USER, args));
  if (args.includes(PREVIEW_ONLY)) return run("destroy", selected, args);

  // What is wrong with the ledger, or the way to it, is said before anything is done.
  const held = (await heldUsers(selected)).length;
  const inState = (await usersInState(selected))?.length ?? 0;
  process.stdout.write("Before the rollback: whom the ledger holds and the state does not know.\n");
  await run("up", selected, ["--yes", "--skip-preview", "--suppress-outputs"], { MIGRATE_HELD_ONLY: "true" });
  const exitCode = await run("destroy", selected, args);
  const left = await heldUsers(selected);
  if (left.length === 0) {
    // A ledger that does not know everybody would call it done.
    if (held === 0 || inState > held) await refuseForgotten(selected);
    return exitCode;
  }
  throw new MigrationError(
    "rollback-incomplete",
    `${left.length.toString()} users were not rolled back: ${firstFew(left, 10)}.`,
    "The reason for each stands above; mend it, or force it, and run the command again.",
  );
}

/** Throws where Clerk still has people of this stack whom its ledger does not know. */
async function refuseForgotten(selected: SelectedStack): Promise<void> {
  const settings = await settingsOf(selected);
  const { world } = await planOf({ ...selected, settings });
  const forgets = ledgerForgets(world);
  if (forgets !== undefined) throw forgets;
}

async function destroyOne(selected: SelectedStack, userId: string, args: readonly string[]): Promise<number> {
  const urn = await rollbackTarget(selected, userId);
  const exitCode = await run("destroy", selected, ["--target", urn, "--target-dependents", ...args]);
  if (exitCode !== 0 || args.includes(PREVIEW_ONLY)) return exitCode;
  const today = new Date().toISOString().slice(0, 10);
  process.stdout.write(
    `The next up would take this user on again. To keep it from that, put into decisions.yaml:\n\n${userId}:\n  skip: rolled back on ${today}\n`,
  );
  return 0;
}

/** Skipping them is safe here, because a create takes up what a lost run has made. Set the variable to decide yourself. */
async function withCheckpoints(verb: Verb, selected: SelectedStack): Promise<NodeJS.ProcessEnv> {
  const { env } = process;
  // A preview stores nothing.
  const isDecided = verb === "preview" || (env.PULUMI_SKIP_CHECKPOINTS ?? "") !== "";
  if (isDecided || (await usersInTable(selected)) <= CHECKPOINTS_UP_TO) return env;
  return { ...env, PULUMI_SKIP_CHECKPOINTS: "true" };
}

/** 0 where it cannot be found out: the program says what is wrong, in its own words. */
async function usersInTable(selected: SelectedStack): Promise<number> {
  try {
    const settings = await settingsOf(selected);
    const counts = await withDatabase(settings.databaseUrl, (database) =>
      countUsers(database, settings.table),
    );
    return counts.total;
  } catch {
    return 0;
  }
}

async function heldUsers(selected: SelectedStack): Promise<string[]> {
  const { databaseUrl } = await settingsOf(selected);
  return withDatabase(databaseUrl, async (database) => {
    // Refuses one that is there in part, which would be read as one that knows nobody.
    await readLedgerVersion(database);
    return heldBy(database, selected.stack);
  });
}

/** Which stack Pulumi's own arguments name. */
function stackOf(args: readonly string[]): StackChoice {
  return { stack: valueOf("stack", args), "config-file": valueOf("config-file", args) };
}

/** Whom `--user` names. Without a name it would be everybody. */
function userOf(args: readonly string[]): string | undefined {
  const isNamed = args.some((arg) => arg === USER || arg.startsWith(`${USER}=`));
  const userId = valueOf("user", args);
  if (isNamed && (userId === undefined || userId === "" || userId.startsWith("-")))
    throw new MigrationError("usage", "--user needs a user_id.", "Say --user <user_id>.");
  return userId;
}

/** As Pulumi reads them, which takes the last, and whose short flags may be followed by `=`. */
function valueOf(flag: keyof typeof valued, args: readonly string[]): string | undefined {
  const { values, tokens } = parseArgs({ args: [...args], options: valued, strict: false, tokens: true });
  const value = values[flag];
  if (typeof value !== "string") return undefined;
  const isShort = tokens.some(
    (token) => token.kind === "option" && token.value === value && token.rawName === "-s",
  );
  return isShort ? value.replace(/^=/, "") : value;
}

/** The arguments for Pulumi, which does not know this flag of ours. */
function without(flag: string, args: readonly string[]): string[] {
  const isValued = flag === USER;
  return args.filter(
    (arg, index) => arg !== flag && !arg.startsWith(`${flag}=`) && !(isValued && args[index - 1] === flag),
  );
}
