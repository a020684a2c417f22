import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type ClerkClient, createClerkClient } from "@clerk/backend";
import { Pool } from "pg";

import { comparePassword } from "./legacy-passwords";
import type { Settings } from "./settings";

/** What every function here works with. */
export interface Systems {
  readonly settings: Settings;
  readonly database: Pool;
  readonly clerk: ClerkClient;
  readonly comparePassword: (password: string, digest: string) => Promise<boolean>;
}

/** Opens lazily: the first query connects. */
export function openSystems(settings: Settings): Systems {
  const database = new Pool({ connectionString: settings.databaseUrl, connectionTimeoutMillis: 10_000 });
  // A dropped idle connection is replaced by the next query; without a listener it would end the process.
  database.on("error", () => undefined);
  return {
    settings,
    database,
    clerk: createClerkClient({ secretKey: settings.clerkSecretKey, apiUrl: settings.clerkApiUrl }),
    comparePassword,
  };
}

/** Creates the example's tables where they are missing. Safe to repeat, and from several processes at once. */
export async function ensureSchema(database: Pool): Promise<void> {
  const definition = await readFile(join(__dirname, "schema.sql"), "utf8");
  // Several statements in one query are one transaction, which the lock lasts for.
  await database.query(`select pg_advisory_xact_lock(hashtextextended('both-logins', 0));\n${definition}`);
}
