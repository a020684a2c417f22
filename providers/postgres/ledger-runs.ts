import { z } from "zod";

import type { Connection, Database } from "./database";

export interface Run {
  readonly stack: string;
  readonly clerkInstanceId: string;
  /** Who started it, as far as the environment says. */
  readonly operator: string | null;
  readonly commit: string | null;
  readonly planned: unknown;
}

/** Notes that a run has begun. Answers its number. */
export async function startRun(database: Database, run: Run): Promise<string> {
  const { rows } = await database.query(
    `insert into clerk_migration.runs (stack, clerk_instance_id, operator, commit_id, planned)
     values ($1, $2, $3, $4, $5) returning run_id::text as run_id`,
    [run.stack, run.clerkInstanceId, run.operator, run.commit, JSON.stringify(run.planned)],
  );
  return z.object({ run_id: z.string() }).parse(rows[0]).run_id;
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
  stack: string,
  arrivals: ReadonlyMap<string, number>,
): Promise<void> {
  if (arrivals.size === 0) return;
  await database.query(
    `update clerk_migration.users as ledger set arrived_at = to_timestamp(seen.at / 1000.0)
     from unnest($2::text[], $3::bigint[]) as seen (clerk_user_id, at)
     where ledger.stack = $1 and ledger.clerk_user_id = seen.clerk_user_id and ledger.arrived_at is null`,
    [stack, [...arrivals.keys()], [...arrivals.values()]],
  );
}
