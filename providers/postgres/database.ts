import { hostname } from "node:os";

import { Client, DatabaseError, Pool, type PoolClient } from "pg";
import { z } from "zod";

import { MigrationError } from "../errors";
import { saidBy } from "./said";

export type Database = Pool;

/** What queries run on: the pool, or one of its connections inside a transaction. */
export type Connection = Pool | PoolClient | Client;

/** Shown in pg_stat_activity; the writer's lock names its holder by it. */
export const applicationName = `clerk-migration ${hostname()}:${process.pid.toString()}`;

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 120_000;

/** Opens lazily: the first query connects. */
export function openDatabase(url: string, connections = 10): Database {
  const pool = new Pool({
    connectionString: url,
    application_name: applicationName,
    max: connections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS,
    allowExitOnIdle: true,
  });
  // A dropped idle connection is replaced by the next query; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}

export function newClient(url: string): Client {
  return new Client({
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
  });
}

/** The server's own limits that could end a transaction which has to stay open, as long as this one lasts. */
const timeouts = [
  "transaction_timeout",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "statement_timeout",
  "lock_timeout",
] as const;

/**
 * Lifts them for the open transaction: set for a role or a database they would end a long one, whatever it does. Which of them
 * there are depends on the version of the server.
 */
export async function withoutTimeouts(connection: Connection): Promise<void> {
  await connection.query(
    "select set_config(name, '0', true) from pg_settings where name = any ($1) and context = 'user' and setting <> '0'",
    [timeouts],
  );
}

/** Which of them are set for this session, lifted or not, and whether a transaction may lift them. */
export async function readTimeouts(connection: Connection): Promise<Timeout[]> {
  const { rows } = await connection.query(
    `select name, reset_val || coalesce(unit, '') as value, context = 'user' as "mayLift"
     from pg_settings where name = any ($1) and reset_val <> '0' order by name`,
    [timeouts],
  );
  return z.array(timeoutSchema).parse(rows);
}

const timeoutSchema = z.object({ name: z.string(), value: z.string(), mayLift: z.boolean() });

export type Timeout = z.infer<typeof timeoutSchema>;

/** Runs `work` on one snapshot of the database that cannot be written to, however long it takes. */
export async function readOnly<T>(
  database: Database,
  work: (connection: PoolClient) => Promise<T>,
): Promise<T> {
  return transaction(
    database,
    "begin transaction isolation level repeatable read read only",
    async (connection) => {
      await withoutTimeouts(connection);
      return work(connection);
    },
  );
}

/** Runs `work` in one transaction: all of it or nothing, and nothing where its result is not to be kept. */
export async function writing<T>(
  database: Database,
  work: (connection: PoolClient) => Promise<T>,
  isKept: (result: T) => boolean = () => true,
): Promise<T> {
  return transaction(database, "begin transaction isolation level read committed", work, isKept);
}

async function transaction<T>(
  database: Database,
  begin: string,
  work: (connection: PoolClient) => Promise<T>,
  isKept: (result: T) => boolean = () => true,
): Promise<T> {
  const connection = await database.connect().catch(explainAndThrow);
  let broken: Error | undefined;
  // A connection that is lost between two statements says so by an event, which nobody else listens to.
  const onLoss = (error: Error) => {
    broken = error;
  };
  connection.on("error", onLoss);
  try {
    await connection.query(begin);
    const result = await work(connection);
    await connection.query(isKept(result) ? "commit" : "rollback");
    return result;
  } catch (error) {
    await connection.query("rollback").catch((failure: unknown) => {
      broken = failure instanceof Error ? failure : new Error("rollback failed");
    });
    return explainAndThrow(error);
  } finally {
    connection.off("error", onLoss);
    connection.release(broken);
  }
}

/** Throws what people can act on instead of the driver's error, which may quote rows; unknown errors pass. */
export function explainAndThrow(error: unknown): never {
  throw explainDatabaseError(error);
}

/** The ledger's own relations, in the words of Postgres: what is said of the users table does not hold for them. */
const LEDGER = /\bclerk_migration\b/;

const ledgerByCode: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  "42P01": [
    "The ledger, or part of it, is gone from the database",
    "Check that DATABASE_URL names the right database. Restore the schema clerk_migration from its newest backup, or run `npm run up`, which makes it anew and takes up whom links and marks name.",
  ],
  "42703": [
    "The ledger is not of the form that this checkout knows",
    "Run `npm run up`, which brings it there; `npm run doctor` says where it stands.",
  ],
  "42501": [
    "The database user may not use the ledger",
    "Let the owner of the schema run `grant usage on schema clerk_migration to …` and `grant select, insert, update on all tables in schema clerk_migration to …`; `npm run doctor` says the rest.",
  ],
};

const byCode: Readonly<Record<string, (said: string) => [string, string]>> = {
  ECONNREFUSED: () => [
    "Postgres does not answer at the address in DATABASE_URL: the connection was refused.",
    "Start it, or correct host and port.",
  ],
  ENOTFOUND: () => [
    "The host in DATABASE_URL is not known to this machine.",
    "Correct the host name, or run where it resolves.",
  ],
  ETIMEDOUT: () => [
    "Postgres did not answer in time at the address in DATABASE_URL.",
    "Check network and firewall.",
  ],
  "28P01": () => [
    "Postgres refused the password in DATABASE_URL.",
    "Correct it; percent-encode special characters.",
  ],
  "28000": () => ["Postgres refused the user in DATABASE_URL.", "Correct it, or allow the user to connect."],
  "3D000": (said) => [
    `The database in DATABASE_URL does not exist (${said}).`,
    "Correct its name at the end of the URL.",
  ],
  "42P01": (said) => [
    `A table is missing (${said}).`,
    "Check that DATABASE_URL names the application's database, where the users table is.",
  ],
  "42703": (said) => [
    `A column is missing (${said}).`,
    "The users table needs user_id, email, name, password_hash, clerk_user_id and created_at. Add it, e.g. `alter table users add column clerk_user_id text unique`.",
  ],
  "42501": (said) => [
    `The database user lacks a privilege (${said}).`,
    "Grant select on users, update (clerk_user_id) on users and create on the database, or use another user.",
  ],
  "53300": () => [
    "Postgres has no connection left.",
    "Raise max_connections, or close others and run again.",
  ],
  "57P01": () => [
    "Postgres ended the connection while it was in use.",
    "Run the command again; it continues.",
  ],
};

export function explainDatabaseError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof MigrationError) return error;
  const code = codeOf(error);
  const said = error instanceof DatabaseError ? saidBy(error) : error.message;
  const ofLedger = code !== undefined && LEDGER.test(error.message) ? ledgerByCode[code] : undefined;
  if (ofLedger !== undefined && code !== undefined) {
    const [reason, remedy] = ofLedger;
    return new MigrationError(`ledger-${code.toLowerCase()}`, `${reason} (${said}).`, remedy);
  }
  const explanation = code === undefined ? undefined : byCode[code];
  if (explanation !== undefined && code !== undefined) {
    const [reason, remedy] = explanation(said);
    return new MigrationError(`postgres-${code.toLowerCase()}`, reason, remedy);
  }
  if (error instanceof DatabaseError) {
    return new MigrationError(
      `postgres-${error.code ?? "unknown"}`,
      `Postgres answered with an error (${said}).`,
      "Run the command again; if it stays, look into the server's log.",
    );
  }
  if (isConnectionLoss(error)) {
    return new MigrationError(
      "postgres-connection",
      `The connection to Postgres was lost (${error.message}).`,
      "Run the command again; it continues where it stopped.",
    );
  }
  return error;
}

/** The system's codes for a connection that broke; any other code is not Postgres's business. */
const lossCodes: readonly unknown[] = [
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
];

function isConnectionLoss(error: Error): boolean {
  const code = codeOf(error);
  if (code !== undefined) return lossCodes.includes(code);
  return /connection|timeout|ended|terminated|not queryable/i.test(error.message);
}

/** An AggregateError (one try an address) carries the code on its members. */
function codeOf(error: Error): string | undefined {
  if ("code" in error && typeof error.code === "string") return error.code;
  if (!(error instanceof AggregateError)) return undefined;
  const inner: unknown = error.errors[0];
  return inner instanceof Error ? codeOf(inner) : undefined;
}
