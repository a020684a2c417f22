import { createHash } from "node:crypto";

import { z } from "zod";

import type { Connection } from "./database";

/** A row of the application's `users` table as the program sees it: without its digest. */
export interface UserRow {
  readonly userId: string;
  readonly email: string | null;
  readonly name: string | null;
  /** RFC 3339 in UTC, with milliseconds; null where the row has none or one that is not a date. */
  readonly createdAt: string | null;
  readonly clerkUserId: string | null;
  /** null where the row has no digest. */
  readonly digest: DigestFacts | null;
}

/** What may be known of a digest outside the request that carries it. */
export interface DigestFacts {
  /** Clerk's name for the algorithm; null where Clerk takes no digest of this form. */
  readonly hasher: Hasher | null;
  /** Changes when the digest does. Bound to the user, so that equal digests do not show. */
  readonly fingerprint: string;
}

export type Hasher = "bcrypt" | "argon2i" | "argon2id";

/** Clerk's hashers by the shape of the digest (`POST /users`, password_hasher). */
const shapes: readonly (readonly [Hasher, RegExp])[] = [
  ["bcrypt", /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/],
  ["argon2i", /^\$argon2i\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/],
  ["argon2id", /^\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/],
];

export function hasherOf(digest: string): Hasher | null {
  return shapes.find(([, shape]) => shape.test(digest))?.[0] ?? null;
}

export function fingerprintOf(userId: string, digest: string): string {
  return createHash("sha256").update(`${userId}:${digest}`).digest("base64url").slice(0, 22);
}

/** JSON spells every date type the same way, whatever the session's date style and zone. */
const columns = `u.user_id::text as user_id, u.email::text as email, u.name::text as name,
  u.password_hash::text as password_hash, u.clerk_user_id::text as clerk_user_id,
  to_json(u.created_at) #>> '{}' as created_at`;

const rowSchema = z
  .object({
    user_id: z.string(),
    email: z.string().nullable(),
    name: z.string().nullable(),
    password_hash: z.string().nullable(),
    clerk_user_id: z.string().nullable(),
    created_at: z.string().nullable(),
  })
  .transform((row) => ({
    userId: row.user_id,
    email: row.email,
    name: row.name,
    clerkUserId: row.clerk_user_id,
    createdAt: utcTimestamp(row.created_at),
    // An empty digest is a row without one: nobody can sign in with it.
    passwordDigest: row.password_hash === "" ? null : row.password_hash,
  }));

/** A row with its digest, read at the moment it is sent and kept no longer. */
export type RowWithDigest = Omit<UserRow, "digest"> & { readonly passwordDigest: string | null };

/** A timestamp without a zone is UTC, never the machine's zone. */
function utcTimestamp(text: string | null): string | null {
  if (text === null) return null;
  const zoned = /(Z|[+-]\d\d(:?\d\d)?)$/.test(text.slice(10)) ? text : `${text.padEnd(19, "T00:00:00")}Z`;
  const time = new Date(zoned);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

export function digestFacts(row: RowWithDigest): DigestFacts | null {
  if (row.passwordDigest === null) return null;
  return { hasher: hasherOf(row.passwordDigest), fingerprint: fingerprintOf(row.userId, row.passwordDigest) };
}

const PAGE = 5_000;

/** Every row, in key-set pages by `user_id`. One snapshot, if the connection is in a read-only transaction. */
export async function readUsers(connection: Connection): Promise<UserRow[]> {
  const rows: UserRow[] = [];
  let after: string | null = null;
  for (;;) {
    const page: RowWithDigest[] = await readPage(connection, after);
    rows.push(...page.map(withoutDigest));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return rows;
    after = last.userId;
  }
}

function withoutDigest(row: RowWithDigest): UserRow {
  const { userId, email, name, createdAt, clerkUserId } = row;
  return { userId, email, name, createdAt, clerkUserId, digest: digestFacts(row) };
}

async function readPage(connection: Connection, after: string | null): Promise<RowWithDigest[]> {
  const rest = after === null ? "" : "where u.user_id > $1";
  const { rows } = await connection.query(
    `select ${columns} from users u ${rest} order by u.user_id limit ${PAGE.toString()}`,
    after === null ? [] : [after],
  );
  return z.array(rowSchema).parse(rows);
}

/** The row as it is now, with its digest. undefined where it is gone. */
export async function readRow(connection: Connection, userId: string): Promise<RowWithDigest | undefined> {
  const { rows } = await connection.query(`select ${columns} from users u where u.user_id = $1`, [userId]);
  return z.array(rowSchema).parse(rows)[0];
}

/** Rows that are there now, by `user_id`. */
export async function readLinks(
  connection: Connection,
  userIds: readonly string[],
): Promise<Map<string, { clerkUserId: string | null; email: string | null }>> {
  const { rows } = await connection.query(
    "select u.user_id::text as user_id, u.clerk_user_id::text as clerk_user_id, u.email::text as email from users u where u.user_id = any($1)",
    [userIds],
  );
  const schema = z.array(
    z.object({ user_id: z.string(), clerk_user_id: z.string().nullable(), email: z.string().nullable() }),
  );
  return new Map(
    schema.parse(rows).map((row) => [row.user_id, { clerkUserId: row.clerk_user_id, email: row.email }]),
  );
}

export interface UserCounts {
  /** All rows of the users table. */
  readonly total: number;
  /** Rows with a `clerk_user_id`, whoever linked them. */
  readonly linked: number;
  /** Rows with a digest and no `clerk_user_id`. */
  readonly legacy: number;
  /** Rows with a digest. */
  readonly withPassword: number;
}

export async function countUsers(connection: Connection): Promise<UserCounts> {
  const { rows } = await connection.query(
    `select count(*)::int as total, count(clerk_user_id)::int as linked,
       count(*) filter (where nullif(password_hash, '') is not null and clerk_user_id is null)::int as legacy,
       count(nullif(password_hash, ''))::int as "withPassword"
     from users`,
  );
  const schema = z.object({
    total: z.number(),
    linked: z.number(),
    legacy: z.number(),
    withPassword: z.number(),
  });
  return schema.parse(rows[0]);
}
