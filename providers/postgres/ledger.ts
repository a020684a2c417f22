import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import { MigrationError, Refusal } from "../errors";
import type { Connection, Database } from "./database";
import { writing } from "./database";

/** The one stack and Clerk instance that a ledger row belongs to. */
export interface Owner {
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
}

export type Passwords = "carry" | "reset";

export interface Failure {
  readonly code: string;
  readonly reason: string;
  readonly remedy: string;
}

const failureColumns = {
  failure_code: z.string().nullable(),
  failure_reason: z.string().nullable(),
  failure_remedy: z.string().nullable(),
};

const userSchema = z
  .object({
    user_id: z.string(),
    stack: z.string(),
    clerk_instance_id: z.string(),
    clerk_user_id: z.string().nullable(),
    origin: z.enum(["created", "adopted"]).nullable(),
    status: z.enum(["creating", "linked", "unlinking", "rolled_back", "refused"]),
    passwords: z.enum(["carry", "reset"]).nullable(),
    digest_fingerprint: z.string().nullable(),
    profile_fingerprint: z.string().nullable(),
    // bigint: the driver hands it over as text.
    clerk_password_at: z.coerce.number().nullable(),
    attempt: z.number(),
    linked_at: z.date().nullable(),
    ...failureColumns,
  })
  .transform((row) => ({
    userId: row.user_id,
    stack: row.stack,
    clerkInstanceId: row.clerk_instance_id,
    clerkUserId: row.clerk_user_id,
    origin: row.origin,
    status: row.status,
    passwords: row.passwords,
    digestFingerprint: row.digest_fingerprint,
    profileFingerprint: row.profile_fingerprint,
    clerkPasswordAt: row.clerk_password_at,
    attempt: row.attempt,
    linkedAt: row.linked_at,
    failure: failureOf(row),
  }));

const invitationSchema = z
  .object({
    user_id: z.string(),
    stack: z.string(),
    clerk_instance_id: z.string(),
    invitation_id: z.string().nullable(),
    email_fingerprint: z.string().nullable(),
    status: z.enum(["sending", "sent", "unknown", "failed", "revoking", "revoked"]),
    attempt: z.number(),
    ...failureColumns,
  })
  .transform((row) => ({
    userId: row.user_id,
    stack: row.stack,
    clerkInstanceId: row.clerk_instance_id,
    invitationId: row.invitation_id,
    emailFingerprint: row.email_fingerprint,
    status: row.status,
    attempt: row.attempt,
    failure: failureOf(row),
  }));

export type LedgerUser = z.infer<typeof userSchema>;
export type LedgerInvitation = z.infer<typeof invitationSchema>;

/** What a stack holds is always declared, whatever the filters of the day. */
export function isHeld(user: LedgerUser): boolean {
  return user.status === "creating" || user.status === "linked" || user.status === "unlinking";
}

/** A mail that is sent or being sent, or may have been. */
export function isMailHeld(invitation: LedgerInvitation): boolean {
  return invitation.status === "sending" || invitation.status === "sent" || invitation.status === "unknown";
}

export interface Ledger {
  /** By `user_id`: this stack's rows, and those that other stacks hold. */
  readonly users: ReadonlyMap<string, LedgerUser>;
  /** By `user_id`: this stack's rows. */
  readonly invitations: ReadonlyMap<string, LedgerInvitation>;
}

/** Reads what the ledger says of this stack. A database without a ledger has an empty one. */
export async function readLedger(connection: Connection, stack: string): Promise<Ledger> {
  if (!(await hasLedger(connection))) return { users: new Map(), invitations: new Map() };
  const users = await connection.query(
    "select * from clerk_migration.users where stack = $1 or status in ('creating', 'linked', 'unlinking')",
    [stack],
  );
  const invitations = await connection.query("select * from clerk_migration.invitations where stack = $1", [
    stack,
  ]);
  return {
    users: byUserId(z.array(userSchema).parse(users.rows)),
    invitations: byUserId(z.array(invitationSchema).parse(invitations.rows)),
  };
}

function byUserId<T extends { userId: string }>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map((row) => [row.userId, row]));
}

export async function hasLedger(connection: Connection): Promise<boolean> {
  const { rows } = await connection.query(
    "select to_regclass('clerk_migration.events') is not null as found",
  );
  return z.object({ found: z.boolean() }).parse(rows[0]).found;
}

/** Creates the ledger where it is missing. Safe to repeat, and from several stacks at once. */
export async function ensureLedger(database: Database): Promise<void> {
  if (await hasLedger(database)) return;
  const definition = await readFile(join(__dirname, "ledger.sql"), "utf8");
  await writing(database, async (connection) => {
    await connection.query("select pg_advisory_xact_lock(hashtextextended('clerk_migration:ledger', 0))");
    await connection.query(definition);
  });
}

export async function readUser(connection: Connection, userId: string): Promise<LedgerUser | undefined> {
  const { rows } = await connection.query("select * from clerk_migration.users where user_id = $1", [userId]);
  return z.array(userSchema).parse(rows)[0];
}

/**
 * Write-ahead: commits `creating` before a request to Clerk may leave, and answers what the row said before
 * (undefined where there was none). A linked row stays as it is, and a held one keeps the fingerprint of the digest
 * that Clerk may have, so that a changed one is sent however often a run is cut off. Refuses a row that another
 * stack or another Clerk instance holds.
 */
export async function claimUser(
  database: Database,
  owner: Owner,
  userId: string,
  digestFingerprint: string | null,
): Promise<LedgerUser | undefined> {
  const before = await readUser(database, userId);
  const { rowCount } = await database.query(
    `insert into clerk_migration.users as ledger (user_id, stack, clerk_instance_id, digest_fingerprint, status)
     values ($1, $2, $3, $4, 'creating')
     on conflict (user_id) do update set
       stack = excluded.stack,
       clerk_instance_id = excluded.clerk_instance_id,
       status = case ledger.status when 'linked' then 'linked' else 'creating' end,
       clerk_user_id = case when ledger.status in ('linked', 'unlinking') then ledger.clerk_user_id end,
       origin = case when ledger.status in ('linked', 'unlinking') then ledger.origin end,
       digest_fingerprint = case when ledger.status in ('rolled_back', 'refused')
         then excluded.digest_fingerprint else ledger.digest_fingerprint end,
       updated_at = now()
     where ledger.status in ('rolled_back', 'refused')
       or (ledger.stack = excluded.stack and ledger.clerk_instance_id = excluded.clerk_instance_id)`,
    [userId, owner.stack, owner.clerkInstanceId, digestFingerprint],
  );
  if (rowCount === 0) throw heldElsewhere(userId, owner, before);
  return before;
}

function heldElsewhere(userId: string, owner: Owner, holder: LedgerUser | undefined): MigrationError {
  const other = holder?.stack ?? "another stack";
  return other === owner.stack
    ? new MigrationError(
        "other-instance",
        `User ${userId} belongs to this stack in another Clerk instance (${holder?.clerkInstanceId ?? "unknown"}).`,
        "Use the key of that instance, or roll the user back there first.",
      )
    : new MigrationError(
        "other-stack",
        `User ${userId} belongs to the stack ${other}.`,
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
export async function linkUser(database: Database, link: Link): Promise<boolean> {
  const { rowCount } = await database.query(
    `with linked as (
       update users set clerk_user_id = $2 where user_id = $1 and clerk_user_id is null returning 1
     ), already as (
       select 1 from users where user_id = $1 and clerk_user_id = $2
     )
     update clerk_migration.users set
       status = 'linked', clerk_user_id = $2, origin = $4, passwords = $5, digest_fingerprint = $6, clerk_password_at = $7,
       profile_fingerprint = $8, attempt = $9,
       failure_code = null, failure_reason = null, failure_remedy = null,
       linked_at = coalesce(linked_at, now()), updated_at = now()
     where user_id = $3 and (exists (select from linked) or exists (select from already))`,
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
    ],
  );
  return rowCount === 1;
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
       (user_id, stack, clerk_instance_id, status, failure_code, failure_reason, failure_remedy)
     values ($1, $2, $3, 'refused', $5, $6, $7)
     on conflict (user_id) do update set
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
    ],
  );
}

/**
 * Begins a rollback: takes the link out of the row, if it is still ours, and records `unlinking`. `attempt`
 * rises, so that a state which still lists the user meets a changed input. False where the link was not ours.
 */
export async function unlinkUser(database: Database, userId: string, clerkUserId: string): Promise<boolean> {
  const { rows } = await database.query(
    `with unlinked as (
       update users set clerk_user_id = null where user_id = $1 and clerk_user_id = $2 returning 1
     ), recorded as (
       update clerk_migration.users set
         status = 'unlinking', attempt = attempt + case status when 'unlinking' then 0 else 1 end, updated_at = now()
       where user_id = $3
     )
     select exists (select from unlinked) as unlinked`,
    [userId, clerkUserId, userId],
  );
  return z.object({ unlinked: z.boolean() }).parse(rows[0]).unlinked;
}

/** Nothing of ours exists in Clerk any more. */
export async function recordRolledBack(database: Database, userId: string): Promise<void> {
  await database.query(
    `update clerk_migration.users set
       status = 'rolled_back', clerk_user_id = null, origin = null, passwords = null, digest_fingerprint = null, profile_fingerprint = null,
       clerk_password_at = null, linked_at = null, attempt = attempt + case status when 'unlinking' then 0 else 1 end,
       failure_code = null, failure_reason = null, failure_remedy = null, updated_at = now()
     where user_id = $1 and status <> 'rolled_back'`,
    [userId],
  );
}

export async function readInvitation(
  connection: Connection,
  userId: string,
): Promise<LedgerInvitation | undefined> {
  const { rows } = await connection.query("select * from clerk_migration.invitations where user_id = $1", [
    userId,
  ]);
  return z.array(invitationSchema).parse(rows)[0];
}

/**
 * Write-ahead: commits `sending` before the mail is asked for, without the id of any earlier one. Answers what the
 * row said before, unless it was of another stack or Clerk instance: that mail told of another account.
 */
export async function claimInvitation(
  database: Database,
  owner: Owner,
  userId: string,
): Promise<LedgerInvitation | undefined> {
  const found = await readInvitation(database, userId);
  const isOwn = found?.stack === owner.stack && found.clerkInstanceId === owner.clerkInstanceId;
  const before = isOwn ? found : undefined;
  if (before?.status === "sent") return before;
  await database.query(
    `insert into clerk_migration.invitations as ledger (user_id, stack, clerk_instance_id, status)
     values ($1, $2, $3, 'sending')
     on conflict (user_id) do update set
       stack = excluded.stack, clerk_instance_id = excluded.clerk_instance_id, status = 'sending',
       invitation_id = null, updated_at = now()`,
    [userId, owner.stack, owner.clerkInstanceId],
  );
  return before;
}

export type InvitationOutcome =
  | { readonly status: "sent"; readonly invitationId: string; readonly emailFingerprint: string }
  | { readonly status: "failed" | "unknown"; readonly failure: Failure }
  | { readonly status: "revoking" | "revoked" };

/** Records how it ended. Whatever has to be done again raises `attempt`, which the next run declares. */
export async function recordInvitation(
  database: Database,
  userId: string,
  outcome: InvitationOutcome,
): Promise<void> {
  const sent = outcome.status === "sent" ? outcome : null;
  const failure = "failure" in outcome ? outcome.failure : null;
  await database.query(
    `update clerk_migration.invitations set
       status = $2,
       invitation_id = coalesce($3, invitation_id),
       email_fingerprint = coalesce($4, email_fingerprint),
       sent_at = case $2 when 'sent' then coalesce(sent_at, now()) else sent_at end,
       attempt = attempt + case when $2 = 'sent' or ($2 = 'revoked' and status = 'revoking') then 0 else 1 end,
       failure_code = $5, failure_reason = $6, failure_remedy = $7, updated_at = now()
     where user_id = $1`,
    [
      userId,
      outcome.status,
      sent?.invitationId,
      sent?.emailFingerprint,
      failure?.code,
      failure?.reason,
      failure?.remedy,
    ],
  );
}

function failureOf(row: {
  failure_code: string | null;
  failure_reason: string | null;
  failure_remedy: string | null;
}): Failure | null {
  if (row.failure_code === null) return null;
  return { code: row.failure_code, reason: row.failure_reason ?? "", remedy: row.failure_remedy ?? "" };
}

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
