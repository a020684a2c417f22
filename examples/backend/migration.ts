import { z } from "zod";

import type { Database } from "./systems";

/*
 * All that this backend reads and writes of the migration: its mark in Clerk and its ledger in Postgres. Both may be
 * missing.
 */

const markSchema = z.object({ adopted: z.boolean().optional() });

/** Whether the migration has made, or taken over, the Clerk user with this private metadata. */
export function isMarked(privateMetadata: Readonly<Record<string, unknown>>): boolean {
  return privateMetadata.clerk_migration !== undefined;
}

/** Not taken over: an account that was there before has a password of its own, and keeps it. */
export function isMadeByMigration(privateMetadata: Readonly<Record<string, unknown>>): boolean {
  const mark = markSchema.safeParse(privateMetadata.clerk_migration);
  return mark.success && mark.data.adopted !== true;
}

const heldSchema = z.object({
  origin: z.string().nullable(),
  passwords: z.string().nullable(),
  // bigint: the driver hands it over as text.
  clerk_password_at: z.coerce.number().nullable(),
});

/** What the ledger says of a linked user: whose account it is, and Clerk's time of the password that is ours. */
export type Held = z.infer<typeof heldSchema>;

/** undefined where the ledger is missing, or does not know the user under this link. */
export async function readHeld(
  database: Database,
  userId: string,
  clerkUserId: string,
): Promise<Held | undefined> {
  if (!(await hasLedger(database))) return undefined;
  const { rows } = await database.query(
    "select origin, passwords, clerk_password_at from clerk_migration.users where user_id = $1::text and clerk_user_id = $2",
    [userId, clerkUserId],
  );
  return z.array(heldSchema).parse(rows)[0];
}

/**
 * The password in Clerk is ours, and as old as Clerk says: a rollback must not take it for one that the user has chosen
 * there.
 */
export async function noteOurPassword(
  database: Database,
  userId: string,
  clerkUserId: string,
  passwordAt: number,
): Promise<void> {
  if (!(await hasLedger(database))) return;
  await database.query(
    `with held as (
       update clerk_migration.users set passwords = 'carry', clerk_password_at = $3, updated_at = now()
       where user_id = $1::text and clerk_user_id = $2 and status = 'linked'
       returning stack, user_id
     )
     insert into clerk_migration.events (stack, subject, user_id, status)
     select stack, 'trickle', user_id, 'password-set' from held`,
    [userId, clerkUserId, passwordAt],
  );
}

const access = z.object({ found: z.boolean(), usable: z.boolean() });

/** Throws where it is there and may not be written: that has to be known before a password leaves. */
async function hasLedger(database: Database): Promise<boolean> {
  const { rows } = await database.query(
    `select count(*) > 0 as found, coalesce(bool_and(
       has_schema_privilege(n.oid, 'usage')
       and has_table_privilege(c.oid, case c.relname when 'users' then 'select' else 'insert' end)
       and (c.relname <> 'users' or has_table_privilege(c.oid, 'update'))
     ), true) as usable
     from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'clerk_migration' and c.relname in ('users', 'events') and c.relkind = 'r'`,
  );
  const { found, usable } = access.parse(rows[0]);
  if (!usable) throw Object.assign(new Error(NO_ACCESS), { code: "ledger_access" });
  return found;
}

const NO_ACCESS =
  "The migration's ledger may not be written: grant usage on the schema clerk_migration, select and update on its users, and select and insert on its events.";
