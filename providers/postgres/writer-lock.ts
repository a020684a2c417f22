import { setTimeout as wait } from "node:timers/promises";

import { z } from "zod";

import { MigrationError } from "../errors";
import { explainAndThrow, newClient, withoutTimeouts } from "./database";

/** How long a second writer waits for the first: a run that has just been killed frees the lock within this. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 250;

export interface WriterLock {
  /** Throws as soon as the connection that keeps the lock is gone: another process may be writing. */
  assertHeld(): void;
  release(): Promise<void>;
}

/**
 * Makes this process the stack's only writer until it exits, by an advisory lock on a connection of its own.
 * Waits a while for another one, then stops and names it.
 */
export async function holdWriterLock(
  databaseUrl: string,
  stack: string,
  patience = PATIENCE_MS,
): Promise<WriterLock> {
  const client = newClient(databaseUrl);
  let lost = false;
  client.on("error", () => (lost = true));
  client.on("end", () => (lost = true));
  await client.connect().catch(explainAndThrow);
  // Inside one open transaction the lock holds through a pooler in transaction mode too, which would hand a
  // session's lock to somebody else. Without a snapshot or an id such a transaction holds back no vacuum.
  await client.query("begin");
  await withoutTimeouts(client);

  const deadline = Date.now() + patience;
  while (!(await tryLock(client, stack))) {
    if (Date.now() > deadline) {
      const holder = await holderOf(client, stack);
      await client.end();
      throw new MigrationError(
        "second-writer",
        `Another process is writing for the stack ${stack}${holder === undefined ? "" : ` (${holder})`}.`,
        "Wait until it has ended, or stop it, and run the command again.",
      );
    }
    await wait(RETRY_MS);
  }
  return {
    assertHeld() {
      if (!lost) return;
      throw new MigrationError(
        "writer-lost",
        "The connection to Postgres that keeps this process the only writer was lost, so no new request was sent.",
        "Run the command again; it continues where it stopped.",
      );
    },
    async release() {
      if (!lost) await client.end();
    },
  };
}

const key = "hashtextextended('clerk_migration:writer:' || $1::text, 0)";

async function tryLock(client: ReturnType<typeof newClient>, stack: string): Promise<boolean> {
  const { rows } = await client.query(`select pg_try_advisory_xact_lock(${key}) as held`, [stack]);
  return z.object({ held: z.boolean() }).parse(rows[0]).held;
}

async function holderOf(client: ReturnType<typeof newClient>, stack: string): Promise<string | undefined> {
  const { rows } = await client.query(
    `select activity.application_name || ', since ' || to_char(activity.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') as holder
     from pg_locks lock join pg_stat_activity activity using (pid)
     where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
       and (lock.classid::bigint << 32) | lock.objid::bigint = ${key}`,
    [stack],
  );
  return z.array(z.object({ holder: z.string() })).parse(rows)[0]?.holder;
}
