import { z } from "zod";

import type { Connection, Database } from "./database";
import { type Failure, invitationSchema, type LedgerInvitation, type Owner } from "./ledger";

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
  | {
      readonly status: "sent";
      readonly invitationId: string;
      readonly emailFingerprint: string;
      /** As declared: what is recorded is what the stack knows. */
      readonly attempt: number;
    }
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
       sent_at = case when $2 = 'sent' and status <> 'sent' then now() else sent_at end,
       attempt = coalesce($8, attempt + case when $2 = 'revoked' and status = 'revoking' then 0 else 1 end),
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
      sent?.attempt,
    ],
  );
}

/** When mails of this Clerk instance went out, or may have, since then, by any stack: milliseconds since 1970. */
export async function mailTimes(
  connection: Connection,
  clerkInstanceId: string,
  since: Date,
): Promise<number[]> {
  const { rows } = await connection.query(
    `select extract(epoch from coalesce(sent_at, updated_at)) * 1000 as at from clerk_migration.invitations
     where clerk_instance_id = $1 and coalesce(sent_at, updated_at) > $2
       and (sent_at is not null or status in ('sending', 'unknown'))`,
    [clerkInstanceId, since],
  );
  return z
    .array(z.object({ at: z.coerce.number() }))
    .parse(rows)
    .map(({ at }) => at);
}
