import { readFile } from "node:fs/promises";

import { z } from "zod";

import { connected } from "../sandbox/postgres";
import type { LocalSmtp } from "../sandbox/smtp";
import { snapshotDatabase } from "../sandbox/snapshot";
import type { DatabaseFacts, Facts, Ledger } from "./invariants";
import type { Stack } from "./stack";

const ledgerSchema = z.object({
  users: z.array(
    z.object({
      user_id: z.string(),
      stack: z.string(),
      status: z.string(),
      clerk_user_id: z.string().nullable(),
      origin: z.string().nullable(),
    }),
  ),
  notifications: z.array(z.object({ user_id: z.string(), number: z.number(), status: z.string() })),
  retired_passwords: z.array(
    z.object({ user_id: z.string(), status: z.string(), sealed: z.string().nullable() }),
  ),
});

const rowSchema = z.object({
  userId: z.string(),
  email: z.string(),
  name: z.string().nullable(),
  digest: z.string().nullable(),
  clerkUserId: z.string().nullable(),
  createdAt: z.string(),
});

/** Everything that there is now. Without a mail server of ours the only mails are Clerk's. */
export async function factsOf(stack: Stack, smtp?: LocalSmtp): Promise<Facts> {
  const { users, invitations, outbox } = stack.clerk.store;
  const own = (smtp?.mails ?? []).flatMap(({ to }) => to);
  return {
    ...(await databaseFacts(stack.databaseUrl)),
    clerkUsers: new Map(users),
    openInvitations: [...invitations.values()].filter(({ status }) => status === "pending"),
    mails: [...outbox.map(({ to }) => to), ...own].map((address) => address.toLowerCase()),
    state: await readFile(stack.stateFile(), "utf8").catch(() => ""),
  };
}

/** What one database says: the rows, the tables beside them, and the ledger. */
export async function databaseFacts(url: string): Promise<DatabaseFacts> {
  const { tables } = await snapshotDatabase(url);
  const others = Object.entries(tables).filter(([name]) => name !== "public.users");
  return connected(url, async (client) => {
    const { rows } = await client.query(
      `select user_id::text as "userId", email, name, password_hash as digest, clerk_user_id as "clerkUserId",
         created_at::text as "createdAt"
       from users order by user_id`,
    );
    const entries = async (table: keyof Ledger): Promise<unknown[]> => {
      const found = await client.query(
        "select 1 from pg_tables where schemaname = 'clerk_migration' and tablename = $1",
        [table],
      );
      if (found.rows.length === 0) return [];
      const all = await client.query<{ entry: unknown }>(
        `select to_json(entry) as entry from clerk_migration.${table} entry order by user_id, entry::text`,
      );
      return all.rows.map(({ entry }) => entry);
    };
    const ledger = {
      users: await entries("users"),
      notifications: await entries("notifications"),
      retired_passwords: await entries("retired_passwords"),
    };
    return {
      rows: new Map(
        z
          .array(rowSchema)
          .parse(rows)
          .map((row) => [row.userId, row]),
      ),
      otherTables: { tables: Object.fromEntries(others) },
      ledger: ledgerSchema.parse(ledger),
    };
  });
}
