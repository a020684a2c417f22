import { escapeIdentifier } from "pg";
import { z } from "zod";

import { MigrationError, Refusal } from "../errors";
import type { Connection, Database } from "./database";
import { type LedgerUser, type Passwords, userSchema } from "./ledger";
import type { Owner } from "./ledger-migrations";
import { ledgerTable } from "./ledger-tables";
import { columnSql, linkSql, tableSql, type UsersTable } from "./users-table";

/** Whose rows a query is about: those of one migration. */
export type Scope = Pick<Owner, "migrationId">;

export async function readUser(
  connection: Connection,
  { migrationId }: Scope,
  userId: string,
): Promise<LedgerUser | undefined> {
  const { rows } = await connection.query(
    "select * from clerk_migration.users where migration_id = $1 and user_id = $2",
    [migrationId, userId],
  );
  return z.array(userSchema).parse(rows)[0];
}

/** What any migration of this ledger says of a user; where there are several, that of this stack. */
export async function readUserAnywhere(
  connection: Connection,
  userId: string,
  stack: string,
): Promise<LedgerUser | undefined> {
  const { rows } = await connection.query(
    `select * from ${await ledgerTable(connection, "users")} as users
     where user_id = $1 order by stack = $2 desc, updated_at desc limit 1`,
    [userId, stack],
  );
  return z.array(userSchema).parse(rows)[0];
}

/** The `user_id`s that a stack holds, in any migration; none without a ledger. */
export async function heldBy(connection: Connection, stack: string): Promise<string[]> {
  const { rows } = await connection.query(
    `select user_id from ${await ledgerTable(connection, "users")} as users
     where stack = $1 and status in ('creating', 'linked', 'unlinking') order by user_id`,
    [stack],
  );
  return z
    .array(z.object({ user_id: z.string() }))
    .parse(rows)
    .map(({ user_id }) => user_id);
}

/**
 * Write-ahead: commits `creating` before a request to Clerk may leave, and answers what the row said before
 * (undefined where there was none). A linked row stays as it is, and a held one keeps the fingerprint of the digest
 * that Clerk may have, so that a changed one is sent however often a run is cut off. Refuses a row that another
 * stack holds.
 */
export async function claimUser(
  database: Database,
  owner: Owner,
  userId: string,
  digestFingerprint: string | null,
): Promise<LedgerUser | undefined> {
  const before = await readUser(database, owner, userId);
  const { rowCount } = await database.query(
    `insert into clerk_migration.users as ledger
       (user_id, stack, clerk_instance_id, digest_fingerprint, status, migration_id)
     values ($1, $2, $3, $4, 'creating', $5)
     on conflict (migration_id, user_id) do update set
       stack = excluded.stack,
       status = case ledger.status when 'linked' then 'linked' else 'creating' end,
       clerk_user_id = case when ledger.status in ('linked', 'unlinking') or (ledger.status = 'creating' and ledger.origin = 'adopted')
         then ledger.clerk_user_id end,
       origin = case when ledger.status in ('linked', 'unlinking') or (ledger.status = 'creating' and ledger.origin = 'adopted')
         then ledger.origin end,
       digest_fingerprint = case when ledger.status in ('rolled_back', 'refused')
         then excluded.digest_fingerprint else ledger.digest_fingerprint end,
       updated_at = now()
     where ledger.status in ('rolled_back', 'refused')
       or ledger.stack = excluded.stack`,
    [userId, owner.stack, owner.clerkInstanceId, digestFingerprint, owner.migrationId],
  );
  if (rowCount === 0) throw heldElsewhere(userId, before);
  return before;
}

function heldElsewhere(userId: string, holder: LedgerUser | undefined): MigrationError {
  return new MigrationError(
    "other-stack",
    `User ${userId} belongs to the stack ${holder?.stack ?? "that has just taken it on"}.`,
    "Leave the user to that stack, or roll the user back there first.",
  );
}

export interface Link {
  readonly userId: string;
  readonly clerkUserId: string;
  readonly origin: "created" | "adopted";
  readonly passwords: Passwords;
  readonly digestFingerprint: string;
  readonly profileFingerprint: string;
  readonly clerkPasswordAt: number | null;
  readonly attempt: number;
}

/**
 * Links the row and records it, in one statement and so in one transaction. False where the row does not take
 * the link: it is gone, or linked to somebody else. Safe to repeat.
 */
export async function linkUser(
  database: Database,
  table: UsersTable,
  { migrationId }: Scope,
  link: Link,
): Promise<boolean> {
  const [users, userId, clerkUserId] = [tableSql(table), columnSql(table.userId), linkSql(table)];
  const { rowCount } = await database.query(
    `with linked as (
       update ${users} u set ${escapeIdentifier(table.clerkUserId)} = $2 where ${userId} = $1 and ${clerkUserId} is null returning 1
     ), already as (
       select 1 from ${users} u where ${userId} = $1 and ${clerkUserId} = $2
     )
     update clerk_migration.users set
       status = 'linked', clerk_user_id = $2, origin = $4, passwords = $5, digest_fingerprint = $6, clerk_password_at = $7,
       profile_fingerprint = $8, attempt = $9,
       failure_code = null, failure_reason = null, failure_remedy = null,
       linked_at = coalesce(linked_at, now()), updated_at = now()
     where migration_id = $10 and user_id = $3 and (exists (select from linked) or exists (select from already))`,
    [
      link.userId,
      link.clerkUserId,
      link.userId,
      link.origin,
      link.passwords,
      link.digestFingerprint,
      link.clerkPasswordAt,
      link.profileFingerprint,
      link.attempt,
      migrationId,
    ],
  );
  return rowCount === 1;
}

/** Write-ahead of an adoption: whom, and whether the external id there will be ours. */
export async function recordAdoption(
  database: Database,
  { migrationId }: Scope,
  userId: string,
  clerkUserId: string,
  setsExternalId: boolean,
): Promise<void> {
  await database.query(
    `update clerk_migration.users set
       clerk_user_id = $2, origin = 'adopted', external_id_set = external_id_set or $3, updated_at = now()
     where migration_id = $4 and user_id = $1`,
    [userId, clerkUserId, setsExternalId, migrationId],
  );
}

/**
 * Notes why it failed. A refusal makes the user a candidate again; any other failure leaves the status as it is,
 * because something of ours may exist in Clerk.
 */
export async function recordFailure(
  database: Database,
  owner: Owner,
  userId: string,
  failure: MigrationError,
): Promise<void> {
  await database.query(
    `insert into clerk_migration.users as ledger
       (user_id, stack, clerk_instance_id, status, failure_code, failure_reason, failure_remedy, migration_id)
     values ($1, $2, $3, 'refused', $5, $6, $7, $8)
     on conflict (migration_id, user_id) do update set
       status = case when $4 and ledger.status <> 'linked' then 'refused' else ledger.status end,
       failure_code = excluded.failure_code,
       failure_reason = excluded.failure_reason,
       failure_remedy = excluded.failure_remedy,
       updated_at = now()
     where ledger.stack = excluded.stack`,
    [
      userId,
      owner.stack,
      owner.clerkInstanceId,
      failure instanceof Refusal,
      failure.code,
      failure.reason,
      failure.remedy,
      owner.migrationId,
    ],
  );
}

/**
 * Begins a rollback: takes the link out of the row, if it is still ours, and records `unlinking`. `attempt`
 * rises, so that a state which still lists the user meets a changed input. False where the link was not ours.
 */
export async function unlinkUser(
  database: Database,
  table: UsersTable,
  { migrationId }: Scope,
  userId: string,
  clerkUserId: string,
): Promise<boolean> {
  const [id, link] = [columnSql(table.userId), linkSql(table)];
  const { rows } = await database.query(
    `with unlinked as (
       update ${tableSql(table)} u set ${escapeIdentifier(table.clerkUserId)} = null where ${id} = $1 and ${link} = $2 returning 1
     ), recorded as (
       update clerk_migration.users set
         status = 'unlinking', attempt = attempt + case status when 'unlinking' then 0 else 1 end, updated_at = now()
       where migration_id = $4 and user_id = $3
     )
     select exists (select from unlinked) as unlinked`,
    [userId, clerkUserId, userId, migrationId],
  );
  return z.object({ unlinked: z.boolean() }).parse(rows[0]).unlinked;
}

/** Nothing of ours exists in Clerk any more. */
export async function recordRolledBack(
  database: Database,
  { migrationId }: Scope,
  userId: string,
): Promise<void> {
  await database.query(
    `update clerk_migration.users set
       status = 'rolled_back', clerk_user_id = null, origin = null, passwords = null, digest_fingerprint = null, profile_fingerprint = null,
       clerk_password_at = null, linked_at = null, external_id_set = false, attempt = attempt + case status when 'unlinking' then 0 else 1 end,
       failure_code = null, failure_reason = null, failure_remedy = null, updated_at = now()
     where migration_id = $2 and user_id = $1 and status <> 'rolled_back'`,
    [userId, migrationId],
  );
}
