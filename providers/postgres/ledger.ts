import { z } from "zod";

import type { Connection } from "./database";
import type { Owner } from "./ledger-migrations";
import { readLedgerVersion } from "./ledger-steps";
import { ledgerTable } from "./ledger-tables";

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

export const userSchema = z
  .object({
    user_id: z.string(),
    stack: z.string(),
    clerk_instance_id: z.string(),
    clerk_user_id: z.string().nullable(),
    origin: z.enum(["created", "adopted"]).nullable(),
    external_id_set: z.boolean(),
    status: z.enum(["creating", "linked", "unlinking", "rolled_back", "refused"]),
    passwords: z.enum(["carry", "reset"]).nullable(),
    digest_fingerprint: z.string().nullable(),
    profile_fingerprint: z.string().nullable(),
    // bigint: the driver hands it over as text.
    clerk_password_at: z.coerce.number().nullable(),
    attempt: z.number(),
    linked_at: z.date().nullable(),
    arrived_at: z.date().nullable(),
    ...failureColumns,
  })
  .transform((row) => ({
    userId: row.user_id,
    stack: row.stack,
    clerkInstanceId: row.clerk_instance_id,
    clerkUserId: row.clerk_user_id,
    origin: row.origin,
    /** Of an adopted user: whether the external id there is ours, to be taken away again. */
    isExternalIdSet: row.external_id_set,
    status: row.status,
    passwords: row.passwords,
    digestFingerprint: row.digest_fingerprint,
    profileFingerprint: row.profile_fingerprint,
    clerkPasswordAt: row.clerk_password_at,
    attempt: row.attempt,
    linkedAt: row.linked_at,
    /** When the user was first seen to have signed in with Clerk. */
    arrivedAt: row.arrived_at,
    failure: failureOf(row),
  }));

/** By which mail a user is told: Clerk's own, ours with a link that signs in, or ours without. */
export const ways = ["invitation", "sign-in-link", "announcement"] as const;
export type Way = (typeof ways)[number];

export const notificationSchema = z
  .object({
    user_id: z.string(),
    number: z.number(),
    way: z.enum(ways),
    stack: z.string(),
    clerk_instance_id: z.string(),
    credential_id: z.string().nullable(),
    email_fingerprint: z.string().nullable(),
    status: z.enum(["sending", "sent", "rehearsed", "unknown", "failed", "revoking", "revoked"]),
    attempt: z.number(),
    sent_at: z.date().nullable(),
    ...failureColumns,
  })
  .transform((row) => ({
    userId: row.user_id,
    /** 0 tells the user; from 1 on they are reminders. */
    number: row.number,
    way: row.way,
    stack: row.stack,
    clerkInstanceId: row.clerk_instance_id,
    credentialId: row.credential_id,
    emailFingerprint: row.email_fingerprint,
    status: row.status,
    attempt: row.attempt,
    sentAt: row.sent_at,
    failure: failureOf(row),
  }));

export const retiredSchema = z
  .object({
    user_id: z.string(),
    stack: z.string(),
    clerk_instance_id: z.string(),
    status: z.enum(["retired", "restored", "purged", "refused"]),
    key_id: z.string().nullable(),
    digest_fingerprint: z.string().nullable(),
    attempt: z.number(),
    retired_at: z.date().nullable(),
    ...failureColumns,
  })
  .transform((row) => ({
    userId: row.user_id,
    stack: row.stack,
    clerkInstanceId: row.clerk_instance_id,
    status: row.status,
    keyId: row.key_id,
    digestFingerprint: row.digest_fingerprint,
    attempt: row.attempt,
    retiredAt: row.retired_at,
    failure: failureOf(row),
  }));

export type LedgerRetired = z.infer<typeof retiredSchema>;
export type LedgerUser = z.infer<typeof userSchema>;
export type LedgerNotification = z.infer<typeof notificationSchema>;

/** What a stack holds is always declared, whatever the filters of the day. */
export function isHeld(user: LedgerUser): boolean {
  return user.status === "creating" || user.status === "linked" || user.status === "unlinking";
}

/** A mail that is sent or being sent, or may have been. */
export function isMailHeld({ status }: Pick<LedgerNotification, "status">): boolean {
  return status === "sending" || status === "sent" || status === "unknown";
}

/** A digest that is out of the users table, sealed or purged. */
export function isDigestOut({ status }: Pick<LedgerRetired, "status">): boolean {
  return status === "retired" || status === "purged";
}

export interface Ledger {
  /** By `user_id`: this stack's rows, and those that other stacks hold. */
  readonly users: ReadonlyMap<string, LedgerUser>;
  /** By `user_id`: the mails by which this stack tells its users. */
  readonly notifications: ReadonlyMap<string, LedgerNotification>;
  /** By `user_id`, in order: this stack's reminders. */
  readonly reminders: ReadonlyMap<string, readonly LedgerNotification[]>;
  /** By `user_id`: the digests that this stack has taken out of the table, or tried to. */
  readonly retired: ReadonlyMap<string, LedgerRetired>;
}

/**
 * Reads what the ledger says of this stack in this migration. A database without a ledger has an empty one; an older ledger is read
 * as it is, and a newer one refused. What the stack `former` holds counts as this one's: an `up` is going to take it over.
 */
export async function readLedger(
  connection: Connection,
  { migrationId, stack }: Pick<Owner, "migrationId" | "stack">,
  former = stack,
): Promise<Ledger> {
  await readLedgerVersion(connection);
  const own = "case stack when $3 then $2 else stack end as stack";
  const values = [migrationId, stack, former];
  const users = await connection.query(
    `select *, ${own} from ${await ledgerTable(connection, "users")} as users
     where migration_id = $1 and (stack in ($2, $3) or status in ('creating', 'linked', 'unlinking'))`,
    values,
  );
  const notifications = await connection.query(
    `select *, ${own} from ${await ledgerTable(connection, "notifications")} as notifications
     where migration_id = $1 and stack in ($2, $3) order by user_id, number`,
    values,
  );
  // Never the sealed digests themselves.
  const retired = await connection.query(
    `select user_id, ${own}, clerk_instance_id, status, key_id, digest_fingerprint, attempt, retired_at,
       failure_code, failure_reason, failure_remedy
     from ${await ledgerTable(connection, "retired_passwords")} as retired_passwords
     where migration_id = $1 and stack in ($2, $3)`,
    values,
  );
  const all = z.array(notificationSchema).parse(notifications.rows);
  const reminders = new Map<string, LedgerNotification[]>();
  for (const reminder of all.filter(({ number }) => number > 0)) {
    const earlier = reminders.get(reminder.userId);
    if (earlier === undefined) reminders.set(reminder.userId, [reminder]);
    else earlier.push(reminder);
  }
  return {
    users: byUserId(z.array(userSchema).parse(users.rows)),
    notifications: byUserId(all.filter(({ number }) => number === 0)),
    reminders,
    retired: byUserId(z.array(retiredSchema).parse(retired.rows)),
  };
}

function byUserId<T extends { userId: string }>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map((row) => [row.userId, row]));
}

function failureOf(row: {
  failure_code: string | null;
  failure_reason: string | null;
  failure_remedy: string | null;
}): Failure | null {
  if (row.failure_code === null) return null;
  return { code: row.failure_code, reason: row.failure_reason ?? "", remedy: row.failure_remedy ?? "" };
}
