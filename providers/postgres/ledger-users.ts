import { z } from "zod";

import { MigrationError, Refusal } from "../errors";
import { type Connection, type Database, writing } from "./database";
import { type LedgerUser, type Passwords, userSchema } from "./ledger";
import type { Owner } from "./ledger-migrations";
import { ledgerTable } from "./ledger-tables";
import { clearLink, type LinkProblem, readLink, setLink } from "./link";
import { explainUnlink, isTables } from "./link-problems";
import type { UsersTable } from "./users-table";

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
 * Links the row and records it, in one transaction. A link that is not there afterwards is not recorded, and nothing is
 * changed: answers why. Safe to repeat.
 */
export async function linkUser(
  database: Database,
  table: UsersTable,
  scope: Scope,
  link: Link,
): Promise<LinkProblem | undefined> {
  return writing(
    database,
    async (connection) => {
      const problem = await setLink(connection, table, link.userId, link.clerkUserId);
      if (problem === undefined) await recordLink(connection, scope, link);
      return problem;
    },
    (problem) => problem === undefined,
  );
}

async function recordLink(connection: Connection, { migrationId }: Scope, link: Link): Promise<void> {
  await connection.query(
    `update clerk_migration.users set
       status = 'linked', clerk_user_id = $2, origin = $3, passwords = $4, digest_fingerprint = $5, clerk_password_at = $6,
       profile_fingerprint = $7, attempt = $8,
       failure_code = null, failure_reason = null, failure_remedy = null,
       linked_at = coalesce(linked_at, now()), updated_at = now()
     where migration_id = $9 and user_id = $1`,
    [
      link.userId,
      link.clerkUserId,
      link.origin,
      link.passwords,
      link.digestFingerprint,
      link.clerkPasswordAt,
      link.profileFingerprint,
      link.attempt,
      migrationId,
    ],
  );
}

/** Write-ahead of an adoption: whom, and whether the external id there will be ours. */
export async function recordAdoption(
  database: Database,
  { migrationId }: Scope,
  userId: string,
  clerkUserId: string,
  isExternalIdSet: boolean,
): Promise<void> {
  await database.query(
    `update clerk_migration.users set
       clerk_user_id = $2, origin = 'adopted', external_id_set = $3, updated_at = now()
     where migration_id = $4 and user_id = $1`,
    [userId, clerkUserId, isExternalIdSet, migrationId],
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
 * rises, so that a state which still lists the user meets a changed input. False where the link was not ours. Throws,
 * and changes nothing, where the row keeps it.
 */
export async function unlinkUser(
  database: Database,
  table: UsersTable,
  { migrationId }: Scope,
  userId: string,
  clerkUserId: string,
): Promise<boolean> {
  const { wasOurs, problem } = await writing(
    database,
    async (connection) => {
      const before = await readLink(connection, table, userId, clerkUserId);
      const problem = await clearLink(connection, table, userId, clerkUserId);
      if (problem === undefined) await recordUnlinking(connection, { migrationId }, userId);
      return { wasOurs: before?.isLinked === true, problem };
    },
    ({ problem }) => problem === undefined,
  );
  if (isTables(problem)) throw await explainUnlink(database, table, userId, problem);
  return wasOurs;
}

async function recordUnlinking(
  connection: Connection,
  { migrationId }: Scope,
  userId: string,
): Promise<void> {
  await connection.query(
    `update clerk_migration.users set
       status = 'unlinking', attempt = attempt + case status when 'unlinking' then 0 else 1 end, updated_at = now()
     where migration_id = $2 and user_id = $1`,
    [userId, migrationId],
  );
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
