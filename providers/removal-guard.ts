import { hostname } from "node:os";

import { MigrationError } from "./errors";
import type { Database } from "./postgres/database";
import { removableBy } from "./postgres/ledger-runs";

/**
 * Where a command runs: program and providers of one command see the same engine, and every command has another
 * (measured with Pulumi 3.248). It is the only thing by which a provider, which is told nothing about the command, can
 * find out whether a program has run.
 */
export interface Engine {
  readonly host: string;
  /** Empty where none is known. */
  readonly address: string;
}

/** As the program of this command sees it. */
export function engineOfProgram(): Engine {
  return { host: hostname(), address: process.env.PULUMI_NODEJS_ENGINE ?? "" };
}

/** As a provider of this command sees it: Pulumi's launcher hands it over as the first argument. */
export function engineOfProvider(): Engine {
  return { host: hostname(), address: process.argv[2] ?? "" };
}

/** What one provider process knows of the command that it serves. */
export interface Command {
  readonly engine: Engine;
  /** Whether the engine has asked for something that it asks only where a program declares resources. */
  hasSeenProgram: boolean;
}

/** What is about to be deleted. */
export interface Removal {
  /** How people know it: `User 7`. */
  readonly name: string;
  /** undefined: the root, which no `up` removes. */
  readonly userId?: string;
  /** Whether the deletion would do anything; asked only where it is not allowed. */
  readonly doesSomething: () => Promise<boolean>;
}

/**
 * Pulumi deletes what a program no longer declares. An `up` commits, before it registers anything, whom it may remove, under its
 * engine's address: only those go. Without such a row no program has run, so it is a rollback. Whatever is unclear is refused.
 */
export async function refuseSilentRemoval(
  database: Database,
  { engine, hasSeenProgram }: Command,
  { name, userId, doesSomething }: Removal,
): Promise<void> {
  const removable = await removableBy(database, engine);
  if (removable === undefined && !hasSeenProgram) return;
  if (userId !== undefined && removable?.includes(userId) === true) return;
  if (!(await doesSomething())) return;
  throw new MigrationError(
    "not-announced",
    `${name} is in the stack's state, and this run's program has not announced to remove it: nothing was deleted.`,
    "Run `npm run preview`: it says who is left out and why. To roll back, run `npm run destroy`, without --run-program; `pulumi state delete` lets go of a resource and does nothing else.",
  );
}
