import { z } from "zod";

import type { Database } from "./database";

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
