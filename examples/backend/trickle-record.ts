import { z } from "zod";

import { noteOurPassword, readHeld } from "./migration";
import type { Database } from "./systems";

/** unconfirmed: a request may have left. not-ours: the migration took over an account that was there before. */
export type Trickled = "never" | "unconfirmed" | "done" | "not-ours";

/** How long a request may be under way before another login tries again. */
const LEASE = "1 minute";

/** What this table and the migration's ledger say. A digest that was carried over needs no password any more. */
export async function readTrickle(
  database: Database,
  userId: string,
  clerkUserId: string,
): Promise<Trickled> {
  const { rows } = await database.query(
    "select at is not null as done from trickled_passwords where user_id = $1 and clerk_user_id = $2",
    [userId, clerkUserId],
  );
  const record = z.array(z.object({ done: z.boolean() })).parse(rows)[0];
  if (record?.done === true) return "done";
  const held = await readHeld(database, userId, clerkUserId);
  if (held?.origin === "adopted") return "not-ours";
  // A new password may have left for whoever had one in Clerk already.
  if (record !== undefined) return "unconfirmed";
  return held?.passwords === "carry" ? "done" : "never";
}

/** Whether a request may have left of which nobody knows the outcome. */
export async function isTrickleOpen(
  database: Database,
  userId: string,
  clerkUserId: string,
): Promise<boolean> {
  const { rowCount } = await database.query(
    "select from trickled_passwords where user_id = $1 and clerk_user_id = $2 and at is null",
    [userId, clerkUserId],
  );
  return rowCount === 1;
}

/**
 * Written before the request leaves. False where another login is at it, where it is done, or where the user
 * has arrived or was barred meanwhile.
 */
export async function claimTrickle(
  database: Database,
  userId: string,
  clerkUserId: string,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `insert into trickled_passwords as before (user_id, clerk_user_id)
     select $1::uuid, $2::text where not exists (select from shut_users where user_id = $1::uuid)
     on conflict (user_id) do update set clerk_user_id = excluded.clerk_user_id, started_at = now(), at = null
     where before.clerk_user_id <> excluded.clerk_user_id
       or (before.at is null and before.started_at < now() - $3::interval)`,
    [userId, clerkUserId, LEASE],
  );
  return rowCount === 1;
}

/** A request is about to leave, whatever was known before. */
export async function openTrickle(database: Database, userId: string, clerkUserId: string): Promise<void> {
  await database.query(
    `insert into trickled_passwords (user_id, clerk_user_id) values ($1, $2)
     on conflict (user_id) do update set clerk_user_id = excluded.clerk_user_id, started_at = now(), at = null`,
    [userId, clerkUserId],
  );
}

/** Done, here and in the migration's ledger. `passwordAt` is Clerk's own time of it. */
export async function confirmTrickle(
  database: Database,
  userId: string,
  clerkUserId: string,
  passwordAt: number,
): Promise<void> {
  await noteOurPassword(database, userId, clerkUserId, passwordAt);
  await database.query(
    "update trickled_passwords set at = now() where user_id = $1::uuid and clerk_user_id = $2",
    [userId, clerkUserId],
  );
}

/** The password in Clerk is another one, so it is not ours. */
export async function forgetTrickle(database: Database, userId: string): Promise<void> {
  await database.query("delete from trickled_passwords where user_id = $1 and at is null", [userId]);
}
