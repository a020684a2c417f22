import type { Pool, PoolClient } from "pg";
import { z } from "zod";

import { Refusal } from "./errors";
import type { LegacyLogin } from "./settings";
import type { Database } from "./systems";

/** A person, whichever door was used. */
export interface AppUser {
  readonly userId: string;
  readonly email: string;
  readonly name: string | null;
  readonly clerkUserId: string | null;
  /** Has signed in with Clerk, and is linked still. */
  readonly hasArrived: boolean;
  /** Has arrived, or is barred: Clerk alone decides. */
  readonly isClerks: boolean;
}

export interface LegacyUser extends AppUser {
  readonly passwordDigest: string | null;
}

/** Of `users u`. */
export const userColumns = `u.user_id, u.email, u.name, u.clerk_user_id,
  exists (select from arrived_users a where a.user_id = u.user_id) as has_arrived,
  exists (select from shut_users s where s.user_id = u.user_id) as is_clerks`;

const columns = z.object({
  user_id: z.string(),
  email: z.string(),
  name: z.string().nullable(),
  clerk_user_id: z.string().nullable(),
  has_arrived: z.boolean(),
  is_clerks: z.boolean(),
});

type Row = z.infer<typeof columns>;

const fromRow = (row: Row): AppUser => ({
  userId: row.user_id,
  email: row.email,
  name: row.name,
  clerkUserId: row.clerk_user_id,
  hasArrived: row.has_arrived,
  isClerks: row.is_clerks,
});

const legacyRow = columns.extend({ password_hash: z.string().nullable() });

/** The first of the rows, if there is one. */
export function parseUser(rows: readonly unknown[]): AppUser | undefined {
  return z.array(columns.transform(fromRow)).parse(rows)[0];
}

function parseLegacyUser(rows: readonly unknown[]): LegacyUser | undefined {
  const row = z.array(legacyRow).parse(rows)[0];
  return row && { ...fromRow(row), passwordDigest: row.password_hash };
}

/** Whether the legacy door is shut for somebody. */
export function isShut(mode: LegacyLogin, user: Pick<AppUser, "isClerks">): boolean {
  return mode === "off" || (mode === "until-arrived" && user.isClerks);
}

/** By the address as it is written, like the legacy login always did. */
export async function legacyUserByEmail(database: Pool, email: string): Promise<LegacyUser | undefined> {
  const { rows } = await database.query(
    `select ${userColumns}, u.password_hash from users u where u.email = $1`,
    [email],
  );
  return parseLegacyUser(rows);
}

/**
 * Keeps everybody else from changing link and password of a user until the transaction ends; sessions may be opened
 * meanwhile. undefined where there is no such row.
 */
export async function lockUser(connection: PoolClient, userId: string): Promise<LegacyUser | undefined> {
  await connection.query("set local lock_timeout = '5s'");
  await connection
    .query("select from users where user_id = $1 for no key update", [userId])
    .catch((cause: unknown) => {
      throw new Refusal(503, "Somebody else is at this account. Try again.", { cause });
    });
  // Only a statement that begins after the wait sees what was changed meanwhile.
  return userById(connection, userId);
}

export async function userById(database: Database, userId: string): Promise<LegacyUser | undefined> {
  const { rows } = await database.query(
    `select ${userColumns}, u.password_hash from users u where u.user_id = $1`,
    [userId],
  );
  return parseLegacyUser(rows);
}

export async function userByClerkId(database: Pool, clerkUserId: string): Promise<AppUser | undefined> {
  const { rows } = await database.query(`select ${userColumns} from users u where u.clerk_user_id = $1`, [
    clerkUserId,
  ]);
  return parseUser(rows);
}

/** Whom Clerk names by our own id, as long as the row is linked to nobody. */
export async function unlinkedUser(database: Pool, externalId: unknown): Promise<AppUser | undefined> {
  const userId = userIdFrom(externalId);
  if (userId === null) return undefined;
  const { rows } = await database.query(
    `select ${userColumns} from users u where u.user_id = $1 and u.clerk_user_id is null`,
    [userId],
  );
  return parseUser(rows);
}

/** Clerk's external_id is any text; a `user_id` is a uuid. */
export function userIdFrom(externalId: unknown): string | null {
  return z.guid().safeParse(externalId).data ?? null;
}
