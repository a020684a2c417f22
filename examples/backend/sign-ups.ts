import type { User } from "@clerk/backend";
import type { PoolClient } from "pg";
import { z } from "zod";

import { recordArrivals } from "./arrivals";
import { liveUser } from "./clerk-user";
import { Refusal } from "./errors";
import { isMarked } from "./migration";
import { inTransaction, type Systems } from "./systems";
import { userIdFrom } from "./users";

/**
 * migrated: made by the migration, nothing to do. known: has a row. gone: deleted in Clerk meanwhile. inserted: a new
 * person. linked: a legacy user who signed up with Clerk under an address that Clerk has verified. left-alone: the
 * address belongs to a row that this must not touch, or there is none.
 */
export type SignUp = "migrated" | "known" | "gone" | "inserted" | "linked" | "left-alone";

export interface Created {
  readonly clerkUserId: string;
  readonly externalId: unknown;
}

/** A row for somebody who is new in Clerk. Safe to repeat. */
export async function welcome(systems: Systems, created: Created): Promise<SignUp> {
  const { database, clerk } = systems;
  // Before Clerk is asked: a migration of 10,000 users sends as many of these events.
  if (await hasRow(systems, created.externalId)) return "migrated";
  // The event may be late: what Clerk says now is what counts.
  const user = await liveUser(clerk, created.clerkUserId);
  if (user === undefined) return "gone";
  if (isMarked(user.privateMetadata) || (await hasRow(systems, user.externalId))) return "migrated";

  const outcome = await inTransaction(database, (connection) => addRow(connection, user));
  // Clerk has proven the address, the legacy password has not: from now on only Clerk's door is theirs.
  if (outcome === "linked") await recordArrivals(systems, [{ clerkUserId: user.id, externalId: null }]);
  return outcome;
}

async function hasRow({ database }: Systems, externalId: unknown): Promise<boolean> {
  const userId = userIdFrom(externalId);
  if (userId === null) return false;
  const { rowCount } = await database.query("select from users where user_id = $1", [userId]);
  return rowCount === 1;
}

const rowsSchema = z.array(z.object({ user_id: z.string(), clerk_user_id: z.string().nullable() }));

async function addRow(connection: PoolClient, user: User): Promise<SignUp> {
  const address = user.emailAddresses.find((one) => one.id === user.primaryEmailAddressId);
  const { rows } = await connection.query(
    `select user_id, clerk_user_id from users
     where clerk_user_id = $1 or lower(btrim(email)) = $2
     order by user_id
     for update`,
    [user.id, address?.emailAddress ?? null],
  );
  const holders = rowsSchema.parse(rows);
  if (holders.some((row) => row.clerk_user_id === user.id)) return "known";
  if (address === undefined) return "left-alone";
  const [holder, ...others] = holders;
  if (holder === undefined) return insertRow(connection, user, address.emailAddress);

  const isVerified = address.verification?.status === "verified";
  if (!isVerified || holder.clerk_user_id !== null || others.length > 0) return "left-alone";
  await connection.query("update users set clerk_user_id = $1 where user_id = $2", [user.id, holder.user_id]);
  return "linked";
}

async function insertRow(connection: PoolClient, user: User, email: string): Promise<SignUp> {
  const name = plain([user.firstName, user.lastName].filter(Boolean).join(" ")) || null;
  const { rowCount } = await connection.query(
    `insert into users (email, name, clerk_user_id, created_at) values ($1, $2, $3, $4) on conflict do nothing`,
    [email, name, user.id, new Date(user.createdAt)],
  );
  // Somebody took the address, or the same event came twice at once: the repetition sees which.
  if (rowCount === 0) throw new Refusal(409, "Send this event again.");
  return "inserted";
}

/** Whoever signs up chooses the name: nothing in it may begin a new line of a header or a log, or be refused by Postgres. */
function plain(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
}
