import type { Pool } from "pg";
import { z } from "zod";

/** unconfirmed: a request may have left. not-ours: the migration took over an account that was there before. */
export type Trickled = "never" | "unconfirmed" | "done" | "not-ours";

/** How long a request may be under way before another login tries again. */
const LEASE = "1 minute";

const ledgerRow = z.object({ origin: z.string().nullable(), passwords: z.string().nullable() });

/** What this table and the migration's ledger say. A digest that was carried over needs no password any more. */
export async function readTrickle(database: Pool, userId: string, clerkUserId: string): Promise<Trickled> {
  const { rows } = await database.query(
    "select at is not null as done from trickled_passwords where user_id = $1 and clerk_user_id = $2",
    [userId, clerkUserId],
  );
  const record = z.array(z.object({ done: z.boolean() })).parse(rows)[0];
  if (record?.done === true) return "done";
  const held = (await hasLedger(database)) ? await readLedger(database, userId, clerkUserId) : undefined;
  if (held?.origin === "adopted") return "not-ours";
  if (held?.passwords === "carry") return "done";
  return record === undefined ? "never" : "unconfirmed";
}

async function readLedger(database: Pool, userId: string, clerkUserId: string) {
  const { rows } = await database.query(
    "select origin, passwords from clerk_migration.users where user_id = $1 and clerk_user_id = $2",
    [userId, clerkUserId],
  );
  return z.array(ledgerRow).parse(rows)[0];
}

/**
 * Written before the request leaves. False where another login is at it, where it is done, or where the user has
 * arrived meanwhile.
 */
export async function claimTrickle(database: Pool, userId: string, clerkUserId: string): Promise<boolean> {
  const { rowCount } = await database.query(
    `insert into trickled_passwords as before (user_id, clerk_user_id)
     select $1::uuid, $2::text where not exists (select from arrived_users where user_id = $1::uuid)
     on conflict (user_id) do update set clerk_user_id = excluded.clerk_user_id, started_at = now(), at = null
     where before.clerk_user_id <> excluded.clerk_user_id
       or (before.at is null and before.started_at < now() - $3::interval)`,
    [userId, clerkUserId, LEASE],
  );
  return rowCount === 1;
}

/**
 * Done, here and in the migration's ledger, in one statement: its rollback must not take the password that we have set
 * for one that the user chose. `passwordAt` is Clerk's own time of it.
 */
export async function confirmTrickle(
  database: Pool,
  userId: string,
  clerkUserId: string,
  passwordAt: number,
): Promise<void> {
  const done = "update trickled_passwords set at = now() where user_id = $1::uuid and clerk_user_id = $2";
  if (!(await hasLedger(database))) {
    await database.query(done, [userId, clerkUserId]);
    return;
  }
  await database.query(
    `with done as (${done}), held as (
       update clerk_migration.users set passwords = 'carry', clerk_password_at = $3, updated_at = now()
       where user_id = $1::text and clerk_user_id = $2 and status = 'linked'
       returning stack, user_id
     )
     insert into clerk_migration.events (stack, subject, user_id, status)
     select stack, 'trickle', user_id, 'password-set' from held`,
    [userId, clerkUserId, passwordAt],
  );
}

/** The password in Clerk is another one, so it is not ours. */
export async function forgetTrickle(database: Pool, userId: string): Promise<void> {
  await database.query("delete from trickled_passwords where user_id = $1 and at is null", [userId]);
}

async function hasLedger(database: Pool): Promise<boolean> {
  const { rows } = await database.query("select to_regclass('clerk_migration.events') is not null as found");
  return z.object({ found: z.boolean() }).parse(rows[0]).found;
}
