import { z } from "zod";

import type { Connection, Database } from "./database";
import { type Failure, type LedgerNotification, notificationSchema, type Way } from "./ledger";
import type { Owner } from "./ledger-migrations";
import { ledgerTable } from "./ledger-tables";
import type { Scope } from "./ledger-users";

/** One mail: the number tells a user's reminders from the first. */
export interface NotificationKey {
  readonly userId: string;
  readonly number: number;
}

export async function readNotification(
  connection: Connection,
  { migrationId }: Scope,
  { userId, number }: NotificationKey,
): Promise<LedgerNotification | undefined> {
  const { rows } = await connection.query(
    "select * from clerk_migration.notifications where migration_id = $1 and user_id = $2 and number = $3",
    [migrationId, userId, number],
  );
  return z.array(notificationSchema).parse(rows)[0];
}

interface Claim extends NotificationKey {
  readonly way: Way;
  readonly attempt: number;
}

/**
 * Write-ahead: commits `sending` before the mail is asked for, without the id of any earlier credential, and the mail itself
 * among those that may have left. An earlier invitation of unknown outcome has been looked for in vain by then.
 */
export async function claimNotification(
  database: Database,
  owner: Owner,
  { userId, number, way, attempt }: Claim,
): Promise<void> {
  await database.query(
    `with lost as (
       update clerk_migration.mails set outcome = 'failed'
       where user_id = $1 and number = $2 and migration_id = $7
         and way = 'invitation' and outcome in ('sending', 'unknown')
     ), leaving as (
       insert into clerk_migration.mails (user_id, number, way, stack, clerk_instance_id, migration_id, outcome)
       values ($1, $2, $3, $4, $5, $7, 'sending')
     )
     insert into clerk_migration.notifications
       (user_id, number, way, stack, clerk_instance_id, attempt, status, migration_id)
     values ($1, $2, $3, $4, $5, $6, 'sending', $7)
     on conflict (migration_id, user_id, number) do update set
       way = excluded.way, stack = excluded.stack,
       attempt = excluded.attempt, status = 'sending', credential_id = null, sent_at = null, updated_at = now()`,
    [userId, number, way, owner.stack, owner.clerkInstanceId, attempt, owner.migrationId],
  );
}

/**
 * Mails of which a lost ledger knew: on record again, without counting as mails that leave now. One that another stack of the
 * migration has on record, whose user is ours by now, is ours, too.
 */
export async function recordForgotten(
  connection: Connection,
  { migrationId }: Scope,
  mails: readonly LedgerNotification[],
): Promise<void> {
  for (const mail of mails)
    await connection.query(
      `insert into clerk_migration.notifications
         (migration_id, user_id, number, way, stack, clerk_instance_id, attempt, status, credential_id,
          email_fingerprint, sent_at, failure_code, failure_reason, failure_remedy)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
       on conflict (migration_id, user_id, number) do update set
         stack = excluded.stack, attempt = excluded.attempt, updated_at = now()
         where notifications.stack <> excluded.stack`,
      [
        ...[migrationId, mail.userId, mail.number, mail.way, mail.stack, mail.clerkInstanceId, mail.attempt],
        ...[mail.status, mail.credentialId, mail.emailFingerprint, mail.sentAt],
        ...[mail.failure?.code, mail.failure?.reason, mail.failure?.remedy],
      ],
    );
}

/** Records why a mail was not even begun: none has left. */
export async function recordNotBegun(
  database: Database,
  owner: Owner,
  { userId, number, way, attempt }: Claim,
  failure: Failure,
): Promise<void> {
  await database.query(
    `insert into clerk_migration.notifications
       (user_id, number, way, stack, clerk_instance_id, attempt, migration_id, status,
        failure_code, failure_reason, failure_remedy)
     values ($1, $2, $3, $4, $5, $6, $7, 'failed', $8, $9, $10)
     on conflict (migration_id, user_id, number) do update set
       way = excluded.way, stack = excluded.stack,
       attempt = excluded.attempt, status = 'failed', credential_id = null, sent_at = null,
       failure_code = excluded.failure_code, failure_reason = excluded.failure_reason,
       failure_remedy = excluded.failure_remedy, updated_at = now()`,
    [
      ...[userId, number, way, owner.stack, owner.clerkInstanceId, attempt, owner.migrationId],
      ...[failure.code, failure.reason, failure.remedy],
    ],
  );
}

/** Commits the id of a credential before anybody gets it, so that it can be taken back. */
export async function recordCredential(
  database: Database,
  { migrationId }: Scope,
  { userId, number }: NotificationKey,
  credentialId: string,
): Promise<void> {
  await database.query(
    `update clerk_migration.notifications set credential_id = $3, updated_at = now()
     where user_id = $1 and number = $2 and migration_id = $4`,
    [userId, number, credentialId, migrationId],
  );
}

export type NotificationOutcome =
  | {
      readonly status: "sent" | "rehearsed";
      readonly credentialId: string | null;
      readonly emailFingerprint: string;
      /** As declared: what is recorded is what the stack knows. */
      readonly attempt: number;
    }
  | {
      readonly status: "failed" | "unknown";
      readonly failure: Failure;
      /** As the next run declares it: a higher one repeats the mail. */
      readonly attempt: number;
    }
  | { readonly status: "revoking" | "revoked"; readonly failure?: Failure };

/** Records how it ended, of the mail that has left as well. A mail that is being taken back may have to be sent again, so that raises `attempt`, once. */
export async function recordNotification(
  database: Database,
  { migrationId }: Scope,
  { userId, number }: NotificationKey,
  outcome: NotificationOutcome,
): Promise<void> {
  const done = outcome.status === "sent" || outcome.status === "rehearsed" ? outcome : null;
  const failure = "failure" in outcome ? outcome.failure : undefined;
  await database.query(
    `with left_last as (
       update clerk_migration.mails set outcome = $3
       where $3 in ('sent', 'rehearsed', 'failed', 'unknown') and outcome in ('sending', 'unknown')
         and mail_id = (
           select max(mail_id) from clerk_migration.mails
           where user_id = $1 and number = $2 and migration_id = $10
         )
     )
     update clerk_migration.notifications set
       status = $3,
       credential_id = coalesce($4, credential_id),
       email_fingerprint = coalesce($5, email_fingerprint),
       sent_at = case when $3 in ('sent', 'rehearsed') and sent_at is null then now() else sent_at end,
       attempt = coalesce($9, attempt + case when status = 'revoking' then 0 else 1 end),
       failure_code = $6, failure_reason = $7, failure_remedy = $8, updated_at = now()
     where user_id = $1 and number = $2 and migration_id = $10`,
    [
      userId,
      number,
      outcome.status,
      done?.credentialId,
      done?.emailFingerprint,
      failure?.code,
      failure?.reason,
      failure?.remedy,
      "attempt" in outcome ? outcome.attempt : null,
      migrationId,
    ],
  );
}

/** When mails went out, or may have, by any stack: milliseconds since 1970. */
export interface MailTimes {
  readonly invitations: readonly number[];
  readonly own: readonly number[];
  /** Of the first mail of our own that reached a user; null before. */
  readonly firstOwn: number | null;
}

/** Those of this Clerk instance since then, whatever has become of their users: a rollback calls no mail back. */
export async function mailTimes(
  connection: Connection,
  clerkInstanceId: string,
  since: Date,
): Promise<MailTimes> {
  const mails = await ledgerTable(connection, "mails");
  const { rows } = await connection.query(
    `select way = 'invitation' as is_invitation, extract(epoch from at) * 1000 as at
     from ${mails} as mails where clerk_instance_id = $1 and at > $2 and outcome <> 'failed'`,
    [clerkInstanceId, since],
  );
  const first = await connection.query(
    `select extract(epoch from min(at)) * 1000 as at from ${mails} as mails
     where clerk_instance_id = $1 and way <> 'invitation' and outcome not in ('failed', 'rehearsed')`,
    [clerkInstanceId],
  );
  const times = z.array(z.object({ is_invitation: z.boolean(), at: z.coerce.number() })).parse(rows);
  const of = (isInvitation: boolean) =>
    times.filter((time) => time.is_invitation === isInvitation).map(({ at }) => at);
  const { at } = z.object({ at: z.coerce.number().nullable() }).parse(first.rows[0]);
  return { invitations: of(true), own: of(false), firstOwn: at };
}
