import { z } from "zod";

import type { Connection } from "./database";
import { ledgerTable } from "./ledger-tables";

/** What happened to a user, as the ledger's triggers have written it down. */
export interface LedgerEvent {
  readonly at: Date;
  /** The table that changed, `users` or `notifications`, or an application's own word. */
  readonly subject: string;
  readonly userId: string;
  readonly status: string;
  readonly failureCode: string | null;
}

export interface NumberedRun {
  readonly id: string;
  readonly operator: string | null;
  readonly commit: string | null;
  readonly startedAt: Date;
  /** null where it was cut off, or is still at work. */
  readonly finishedAt: Date | null;
  readonly planned: Readonly<Record<string, unknown>>;
  readonly actual: Readonly<Record<string, unknown>> | null;
  /** To Clerk: all, repeated, and answered 429. */
  readonly requests: number;
  readonly repeated: number;
  readonly limited: number;
}

const eventSchema = z
  .object({
    at: z.date(),
    subject: z.string(),
    user_id: z.string(),
    status: z.string(),
    failure_code: z.string().nullable(),
  })
  .transform(({ user_id, failure_code, ...event }) => ({
    ...event,
    userId: user_id,
    failureCode: failure_code,
  }));

const runSchema = z
  .object({
    id: z.string(),
    operator: z.string().nullable(),
    commit_id: z.string().nullable(),
    started_at: z.date(),
    finished_at: z.date().nullable(),
    planned: z.record(z.string(), z.unknown()),
    actual: z.record(z.string(), z.unknown()).nullable(),
    requests: z.number(),
    repeated: z.number(),
    limited: z.number(),
  })
  .transform(({ commit_id, started_at, finished_at, ...run }) => ({
    ...run,
    commit: commit_id,
    startedAt: started_at,
    finishedAt: finished_at,
  }));

/** All of a user's, whichever stack they are of, in their order. */
export async function eventsOfUser(connection: Connection, userId: string): Promise<LedgerEvent[]> {
  return events(connection, "user_id = $1", [userId]);
}

/** All of a stack's from one time to another; without an end, up to now. */
export async function eventsBetween(
  connection: Connection,
  stack: string,
  from: Date,
  to: Date | null,
): Promise<LedgerEvent[]> {
  return events(connection, "stack = $1 and at >= $2 and ($3::timestamptz is null or at <= $3)", [
    stack,
    from,
    to,
  ]);
}

async function events(
  connection: Connection,
  condition: string,
  values: readonly unknown[],
): Promise<LedgerEvent[]> {
  const { rows } = await connection.query(
    `select at, subject, user_id, status, failure_code from ${await ledgerTable(connection, "events")} as events
     where ${condition} order by event_id`,
    [...values],
  );
  return z.array(eventSchema).parse(rows);
}

/** A stack's, in their order. */
export async function numberedRuns(connection: Connection, stack: string): Promise<NumberedRun[]> {
  const { rows } = await connection.query(
    `select run_id::text as id, operator, commit_id, started_at, finished_at, planned, actual,
       requests, repeated, limited
     from ${await ledgerTable(connection, "runs")} as runs where stack = $1 order by run_id`,
    [stack],
  );
  return z.array(runSchema).parse(rows);
}
