import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type ClerkClient, createClerkClient } from "@clerk/backend";
import { Pool, type PoolClient } from "pg";

import { clerkKeys, type FindKey } from "./clerk-keys";
import { comparePassword } from "./legacy-passwords";
import type { Settings } from "./settings";

/** What every function here works with. */
export interface Systems {
  readonly settings: Settings;
  readonly database: Pool;
  readonly clerk: ClerkClient;
  /** The public keys of Clerk's session tokens. */
  readonly findKey: FindKey;
  readonly comparePassword: (password: string, digest: string) => Promise<boolean>;
}

/** The pool, or the connection of a transaction. */
export type Database = Pick<PoolClient, "query">;

/** Opens lazily: the first query connects. */
export function openSystems(settings: Settings): Systems {
  const database = new Pool({ connectionString: settings.databaseUrl, connectionTimeoutMillis: 10_000 });
  // A dropped idle connection is replaced by the next query; without a listener it would end the process.
  database.on("error", () => undefined);
  const clerk = createClerkClient({ secretKey: settings.clerkSecretKey, apiUrl: settings.clerkApiUrl });
  return { settings, database, clerk, findKey: clerkKeys(clerk), comparePassword };
}

/** Creates the example's tables where they are missing. Safe to repeat, and from several processes at once. */
export async function ensureSchema(database: Pool): Promise<void> {
  const definition = await readFile(join(__dirname, "schema.sql"), "utf8");
  // Several statements in one query are one transaction, which the lock lasts for.
  await database.query(`select pg_advisory_xact_lock(hashtextextended('both-logins', 0));\n${definition}`);
}

/** All of it or nothing. Answers what `work` answers. */
export async function inTransaction<T>(
  database: Pool,
  work: (connection: PoolClient) => Promise<T>,
): Promise<T> {
  const connection = await database.connect();
  try {
    await connection.query("begin");
    const outcome = await work(connection);
    await connection.query("commit");
    connection.release();
    return outcome;
  } catch (error) {
    // A connection that cannot even roll back is not given to anybody else.
    const isBroken = await connection.query("rollback").then(
      () => false,
      () => true,
    );
    connection.release(isBroken);
    throw error;
  }
}
