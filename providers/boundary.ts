import type { dynamic } from "@pulumi/pulumi";
import { z } from "zod";

import { MigrationError } from "./errors";
import { explainDatabaseError } from "./postgres/database";
import { upgradeLedger } from "./postgres/ledger-steps";
import { refuseSilentRemoval } from "./removal-guard";
import { configureSystems, openedSystems, type Systems, systems } from "./systems";

/** One resource type: what is declared, what is recorded, and the plain functions behind it. */
export interface Lifecycle<Inputs extends object, Outputs extends Inputs> {
  /** Both read what any earlier commit has written into a state, too: users stay there for years. */
  readonly inputs: z.ZodType<Inputs>;
  readonly outputs: z.ZodType<Outputs>;
  /** The Pulumi id. It comes from the inputs, because an update cannot change it. */
  readonly idOf: (inputs: Inputs) => string;
  readonly differs: (recorded: Outputs, declared: Inputs) => boolean;
  /** Create and update alike; of an update with what the state has recorded, where it can be read. */
  readonly ensure: (systems: Systems, inputs: Inputs, recorded?: Outputs) => Promise<Outputs>;
  readonly read?: (systems: Systems, recorded: Outputs) => Promise<Outputs>;
  readonly delete: (systems: Systems, recorded: Outputs) => Promise<void>;
  /** What its deletion would remove, for the guard that stands before it. */
  readonly removal: (
    systems: Systems,
    recorded: Outputs,
  ) => { readonly name: string; readonly userId?: string; readonly doesSomething: () => Promise<boolean> };
}

/** A lifecycle as the dynamic provider that Pulumi's engine calls. */
export function resourceProvider<Inputs extends object, Outputs extends Inputs>(
  lifecycle: Lifecycle<Inputs, Outputs>,
): dynamic.ResourceProvider {
  watchEngine();
  return {
    configure: ({ config }) =>
      answering(() => {
        configureSystems(config);
        return Promise.resolve();
      }),
    check: (_olds: object, news: object) => {
      noteProgram();
      return Promise.resolve({ inputs: news });
    },
    diff: (_id, olds, news) =>
      answering(() => {
        // State that this version cannot read is repaired by an update.
        const recorded = lifecycle.outputs.safeParse(olds).data;
        const declared = lifecycle.inputs.parse(news);
        return Promise.resolve({ changes: recorded === undefined || lifecycle.differs(recorded, declared) });
      }),
    create: (inputs) =>
      answering(async () => {
        noteProgram();
        const declared = lifecycle.inputs.parse(inputs);
        return { id: lifecycle.idOf(declared), outs: await lifecycle.ensure(systems(), declared) };
      }),
    update: (_id, olds, news) =>
      answering(async () => {
        noteProgram();
        const recorded = lifecycle.outputs.safeParse(olds).data;
        return { outs: await lifecycle.ensure(systems(), lifecycle.inputs.parse(news), recorded) };
      }),
    read: (id, props) =>
      answering(async () => {
        const recorded = lifecycle.outputs.parse(props);
        const now = (await lifecycle.read?.(systems(), recorded)) ?? recorded;
        return { id, props: inFormOf(z.record(z.string(), z.unknown()).parse(props), now) };
      }),
    delete: (_id, props) =>
      answering(async () => {
        const recorded = lifecycle.outputs.parse(props);
        const { database, command } = systems();
        // No program has run in a rollback that could have done it.
        await upgradeLedger(database);
        await refuseSilentRemoval(database, command, lifecycle.removal(systems(), recorded));
        await lifecycle.delete(systems(), recorded);
      }),
  };
}

/** The engine asks this only where a program declares resources: a rollback has none. */
function noteProgram(): void {
  const opened = openedSystems();
  if (opened !== undefined) opened.command.hasSeenProgram = true;
}

/**
 * What was read goes back under the names that the state has, which an earlier commit may have written: under a new name
 * the engine would not know that it is a secret.
 */
function inFormOf(props: Readonly<Record<string, unknown>>, now: object): Record<string, unknown> {
  const known = Object.entries(now).filter(([name]) => name in props);
  return { ...props, ...Object.fromEntries(known) };
}

/** How many calls of the engine are being worked on. */
let inFlight = 0;
let engineGone = false;
let isWatching = false;

/**
 * Runs one call of the engine. What it throws has no stack trace, because the SDK prints one, and is a sentence
 * wherever the cause is known.
 */
async function answering<T>(work: () => Promise<T>): Promise<T> {
  if (engineGone)
    throw presentable(new MigrationError("engine-gone", "Pulumi's engine has ended.", "Run again."));
  inFlight++;
  try {
    return await work();
  } catch (error) {
    throw presentable(explainDatabaseError(error));
  } finally {
    inFlight--;
    openedSystems()?.noteFigures(inFlight === 0);
    exitIfDone();
  }
}

/**
 * A killed engine leaves this process behind. The end of standard input, a pipe from the engine, tells: take no
 * new work, finish and record what is in flight, exit.
 */
function watchEngine(): void {
  if (isWatching) return;
  isWatching = true;
  process.stdin.on("end", () => {
    engineGone = true;
    exitIfDone();
  });
  // What is said after that reaches nobody. Unheard, the error of the broken pipe would go to the SDK, which prints it to the
  // same pipe, again and again.
  for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on("error", () => undefined);
  process.stdin.resume();
}

function exitIfDone(): void {
  if (engineGone && inFlight === 0) process.exit(0);
}

function presentable(error: unknown): Error {
  const shown =
    error instanceof z.ZodError ? damaged(error) : error instanceof Error ? error : new Error(String(error));
  // An unexpected failure keeps its name: it is a defect, and the name helps to find it.
  if (shown instanceof MigrationError) shown.name = "";
  shown.stack = "";
  return shown;
}

/** Names the places, never the values: they may be addresses. */
function damaged(error: z.ZodError): MigrationError {
  const places = error.issues.map((issue) => issue.path.join(".")).join(", ");
  return new MigrationError(
    "damaged",
    `The stack's state, the ledger or a row has another form than this version reads (${places}).`,
    "Restore it from a backup (`pulumi stack export` shows the state), or use the version that wrote it.",
  );
}
