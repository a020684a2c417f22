import { z } from "zod";

import type { Engine } from "../removal-guard";
import type { Connection, Database } from "./database";
import type { Owner } from "./ledger-migrations";
import { ledgerTable } from "./ledger-tables";
import type { Scope } from "./ledger-users";

export interface Run {
  readonly owner: Owner;
  readonly engine: Engine;
  /** The `user_id`s that this run may remove. */
  readonly removable: readonly string[];
  /** Who started it, as far as the environment says. */
  readonly operator: string | null;
  readonly commit: string | null;
  readonly planned: unknown;
}

/** Notes that a run has begun. Answers its number. */
export async function startRun(connection: Connection, run: Run): Promise<string> {
  const { owner, engine } = run;
  const { rows } = await connection.query(
    `insert into clerk_migration.runs
       (stack, clerk_instance_id, operator, commit_id, planned, migration_id, host, engine, removable)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning run_id::text as run_id`,
    [
      owner.stack,
      owner.clerkInstanceId,
      run.operator,
      run.commit,
      JSON.stringify(run.planned),
      owner.migrationId,
      engine.host,
      engine.address,
      run.removable,
    ],
  );
  return z.object({ run_id: z.string() }).parse(rows[0]).run_id;
}

/**
 * Whom the run of this engine may remove; undefined where none has begun under it. Addresses are used again: one of
 * more than a week ago is another command's.
 */
export async function removableBy(
  connection: Connection,
  { host, address }: Engine,
): Promise<readonly string[] | undefined> {
  const { rows } = await connection.query(
    `select removable from ${await ledgerTable(connection, "runs")} as runs
     where engine = $1 and host = $2 and started_at > now() - interval '7 days' order by run_id desc limit 1`,
    [address, host],
  );
  return z.array(z.object({ removable: z.array(z.string()) })).parse(rows)[0]?.removable;
}

/** Notes how it ended. A run without an end was cut off. */
export async function finishRun(database: Database, runId: string, actual: unknown): Promise<void> {
  await database.query("update clerk_migration.runs set actual = $2, finished_at = now() where run_id = $1", [
    runId,
    JSON.stringify(actual),
  ]);
}

/** Requests to Clerk of a run. */
export interface RunFigures {
  readonly requests: number;
  readonly repeated: number;
  readonly limited: number;
}

/** Notes them with the run of this stack that began after the process; a rollback has none. */
export async function recordFigures(
  database: Database,
  stack: string,
  processStart: Date,
  { requests, repeated, limited }: RunFigures,
): Promise<void> {
  await database.query(
    `update clerk_migration.runs set requests = $3, repeated = $4, limited = $5
     where run_id = (select max(run_id) from clerk_migration.runs where stack = $1 and started_at >= $2)`,
    [stack, processStart, requests, repeated, limited],
  );
}

export async function readFigures(connection: Connection, runId: string): Promise<RunFigures> {
  const { rows } = await connection.query(
    "select requests, repeated, limited from clerk_migration.runs where run_id = $1",
    [runId],
  );
  return z.object({ requests: z.number(), repeated: z.number(), limited: z.number() }).parse(rows[0]);
}

/** Notes of those who have signed in when they were first seen to: Clerk itself tells only of the last time. */
export async function recordArrivals(
  database: Database,
  { migrationId }: Scope,
  arrivals: ReadonlyMap<string, number>,
): Promise<void> {
  if (arrivals.size === 0) return;
  await database.query(
    `update clerk_migration.users as ledger set arrived_at = to_timestamp(seen.at / 1000.0)
     from unnest($2::text[], $3::bigint[]) as seen (clerk_user_id, at)
     where ledger.migration_id = $1 and ledger.clerk_user_id = seen.clerk_user_id and ledger.arrived_at is null`,
    [migrationId, [...arrivals.keys()], [...arrivals.values()]],
  );
}
