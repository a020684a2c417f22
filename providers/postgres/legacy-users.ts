import { createHash } from "node:crypto";

import { z } from "zod";

import { MigrationError } from "../errors";
import type { Connection } from "./database";
import { flagReading, isFlagUp, utcTimestamp } from "./times";
import { columnSql, digestSql, linkSql, tableSql, type UsersTable } from "./users-table";

/** A row of the application's users table as the program sees it: without its digest. */
export interface UserRow {
  readonly userId: string;
  readonly email: string | null;
  readonly name: string | null;
  /** null where the table has no such column. */
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly username: string | null;
  readonly phoneNumber: string | null;
  /** JSON text. */
  readonly publicMetadata: string | null;
  readonly privateMetadata: string | null;
  readonly isBanned: boolean;
  readonly isDeleted: boolean;
  /** null where the table does not say. */
  readonly isEmailVerified: boolean | null;
  /** Whether the condition of the setting `where` holds. */
  readonly isSelected: boolean;
  /** RFC 3339 in UTC, with milliseconds; null where the row has none or one that cannot be sent. */
  readonly createdAt: string | null;
  /** Whether the row has a sign-up date that cannot be sent: infinity, a zero date. */
  readonly isCreatedAtUnusable: boolean;
  /** The same of the last activity. */
  readonly lastActiveAt: string | null;
  readonly clerkUserId: string | null;
  /** null where the row has no digest. */
  readonly digest: DigestFacts | null;
}

/** What may be known of a digest outside the request that carries it. */
export interface DigestFacts {
  /** Clerk's name for the algorithm; null where Clerk takes no digest of this form. */
  readonly hasher: Hasher | null;
  /** Of a bcrypt digest; null for others. */
  readonly cost: number | null;
  /** Changes when the digest does. Bound to the user, so that equal digests do not show. */
  readonly fingerprint: string;
}

/** Clerk's hashers by the shape of the digest (`POST /users`, password_hasher), as far as a shape tells them apart. */
const shapes = [
  ["bcrypt", /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/],
  ["bcrypt_sha256_django", /^bcrypt_sha256\$\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/],
  ["argon2i", /^\$argon2i\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/],
  ["argon2id", /^\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/],
  ["pbkdf2_sha1", /^pbkdf2_sha1\$\d+\$[^$]+\$[0-9a-fA-F]+(\$\d+)?$/],
  // Django's salts are letters and digits: one with another character of base64 is encoded, as Keycloak's.
  ["pbkdf2_sha256", /^pbkdf2_sha256\$\d+\$(?=[^$]*[+/=])[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/=]+$/],
  // Django's, by far the most common digest of this prefix: the salt as it is.
  ["pbkdf2_sha256_django", /^pbkdf2_sha256\$\d+\$[^$]+\$[A-Za-z0-9+/=]+$/],
  [
    "scrypt_firebase",
    /^[A-Za-z0-9+/_=-]+\$[A-Za-z0-9+/_=-]+\$[A-Za-z0-9+/_=-]+\$[A-Za-z0-9+/_=-]+\$\d+\$\d+$/,
  ],
  ["scrypt_werkzeug", /^scrypt:\d+:\d+:\d+\$[^$]+\$[0-9a-fA-F]+$/],
  ["phpass", /^\$[PH]\$[./A-Za-z0-9]{31}$/],
] as const;

export type Hasher = (typeof shapes)[number][0];

export function hasherOf(digest: string): Hasher | null {
  return shapes.find(([, shape]) => shape.test(digest))?.[0] ?? null;
}

export function fingerprintOf(userId: string, digest: string): string {
  return createHash("sha256").update(`${userId}:${digest}`).digest("base64url").slice(0, 22);
}

/** JSON spells every date type the same way, whatever the session's date style. */
const valueSql = (column: string | null) =>
  column === null ? "null::text" : `to_json(${columnSql(column)}) #>> '{}'`;

function columnsSql(table: UsersTable, where = ""): string {
  const text = (column: string | null) => `${columnSql(column)}::text`;
  return `${text(table.userId)} as user_id, ${text(table.email)} as email, ${text(table.fullName)} as name,
    ${text(table.firstName)} as first_name, ${text(table.lastName)} as last_name,
    ${text(table.username)} as username, ${text(table.phoneNumber)} as phone_number,
    ${text(table.publicMetadata)} as public_metadata, ${text(table.privateMetadata)} as private_metadata,
    ${valueSql(table.banned)} as banned, ${valueSql(table.deleted)} as deleted,
    ${valueSql(table.emailVerified)} as email_verified,
    ${where === "" ? "true" : `coalesce((${where}\n), false)`} as is_selected,
    ${digestSql(table)} as password_hash, ${linkSql(table)} as clerk_user_id,
    ${valueSql(table.createdAt)} as created_at, ${valueSql(table.lastActive)} as last_active_at`;
}

const rowSchema = z.object({
  user_id: z.string(),
  email: z.string().nullable(),
  name: z.string().nullable(),
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  username: z.string().nullable(),
  phone_number: z.string().nullable(),
  public_metadata: z.string().nullable(),
  private_metadata: z.string().nullable(),
  banned: z.string().nullable(),
  deleted: z.string().nullable(),
  email_verified: z.string().nullable(),
  is_selected: z.boolean(),
  password_hash: z.string().nullable(),
  clerk_user_id: z.string().nullable(),
  created_at: z.string().nullable(),
  last_active_at: z.string().nullable(),
});

function rowOf(table: UsersTable, row: z.infer<typeof rowSchema>, now: number): RowWithDigest {
  const createdAt = utcTimestamp(row.created_at);
  return {
    userId: row.user_id,
    email: row.email,
    name: row.name,
    firstName: row.first_name,
    lastName: row.last_name,
    username: row.username,
    phoneNumber: row.phone_number,
    publicMetadata: jsonOrNone(row.public_metadata),
    privateMetadata: jsonOrNone(row.private_metadata),
    isBanned: isFlagUp(row.banned, flagReading(table.banned ?? ""), now),
    isDeleted: isFlagUp(row.deleted, "since", now),
    isEmailVerified: table.emailVerified === null ? null : isFlagUp(row.email_verified, "since", now),
    isSelected: row.is_selected,
    clerkUserId: row.clerk_user_id,
    createdAt,
    isCreatedAtUnusable: row.created_at !== null && createdAt === null,
    lastActiveAt: utcTimestamp(row.last_active_at),
    passwordDigest: row.password_hash,
  };
}

/** How libraries write that there is nothing: PHP's empty array is an empty object. */
const emptyJson: readonly string[] = ["", "null", "[]", "{}", '""'];

function jsonOrNone(text: string | null): string | null {
  return text === null || emptyJson.includes(text.replace(/\s/g, "")) ? null : text;
}

/** A row with its digest, read at the moment it is sent and kept no longer. */
export type RowWithDigest = Omit<UserRow, "digest"> & { readonly passwordDigest: string | null };

export function digestFacts(row: RowWithDigest): DigestFacts | null {
  const { passwordDigest: digest } = row;
  if (digest === null) return null;
  const hasher = hasherOf(digest);
  return {
    hasher,
    cost: hasher === "bcrypt" ? Number(digest.slice(4, 6)) : null,
    fingerprint: fingerprintOf(row.userId, digest),
  };
}

const PAGE = 5_000;

/**
 * Every row, in the order of `user_id`, through a cursor: the connection has to be in a transaction, and two rows with one
 * `user_id` both come. `where` is the operator's own condition on the table, alias `u`.
 */
export async function readUsers(connection: Connection, table: UsersTable, where = ""): Promise<UserRow[]> {
  const cursor = {
    text: `declare legacy_users no scroll cursor for
      select ${columnsSql(table, where)} from ${tableSql(table)} u order by ${columnSql(table.userId)}`,
    // Only one statement fits: a condition cannot end the transaction that it runs in.
    queryMode: "extended",
  };
  await connection.query(cursor);
  const now = Date.now();
  const users: UserRow[] = [];
  for (;;) {
    const { rows } = await connection.query(`fetch ${PAGE} from legacy_users`);
    const page = z.array(rowSchema).parse(rows);
    users.push(...page.map((row) => withoutDigest(rowOf(table, row, now))));
    if (page.length < PAGE) break;
  }
  await connection.query("close legacy_users");
  return users;
}

function withoutDigest(row: RowWithDigest): UserRow {
  const { passwordDigest, ...open } = row;
  return { ...open, digest: passwordDigest === null ? null : digestFacts(row) };
}

/** The row as it is now, with its digest. undefined where it is gone. Throws where the id does not tell which it is. */
export async function readRow(
  connection: Connection,
  table: UsersTable,
  userId: string,
): Promise<RowWithDigest | undefined> {
  const { rows } = await connection.query(
    `select ${columnsSql(table)} from ${tableSql(table)} u where ${columnSql(table.userId)} = $1`,
    [userId],
  );
  const [row, ...others] = z.array(rowSchema).parse(rows);
  if (others.length > 0)
    throw new MigrationError(
      "same-user-id",
      `User ${userId}: ${(others.length + 1).toString()} rows have this user_id, so nobody can tell which one is meant.`,
      "Give each row an id of its own. Where the key has more columns, name a view with a joined key: see docs/settings.md.",
    );
  return row === undefined ? undefined : rowOf(table, row, Date.now());
}

export interface LinkOfRow {
  readonly clerkUserId: string | null;
  readonly email: string | null;
  /** Whether another row has the same link. */
  readonly isDoubled: boolean;
}

/** Rows that are there now, by `user_id`. */
export async function readLinks(
  connection: Connection,
  table: UsersTable,
  userIds: readonly string[],
): Promise<Map<string, LinkOfRow>> {
  const [users, userId, link] = [tableSql(table), columnSql(table.userId), linkSql(table)];
  const { rows } = await connection.query(
    `with wanted as (
       select ${userId}::text as user_id, ${link} as clerk_user_id, ${columnSql(table.email)}::text as email
       from ${users} u where ${userId} = any($1)
     ), doubled as (
       select ${link} as clerk_user_id from ${users} u
       where ${link} in (select clerk_user_id from wanted) group by 1 having count(*) > 1
     )
     select wanted.*, clerk_user_id in (select clerk_user_id from doubled) as is_doubled from wanted
     -- Of several rows with one user_id, one that is linked comes last, and counts.
     order by clerk_user_id is null desc`,
    [userIds],
  );
  const schema = z.array(
    z.object({
      user_id: z.string(),
      clerk_user_id: z.string().nullable(),
      email: z.string().nullable(),
      is_doubled: z.boolean().nullable(),
    }),
  );
  return new Map(
    schema
      .parse(rows)
      .map((row) => [
        row.user_id,
        { clerkUserId: row.clerk_user_id, email: row.email, isDoubled: row.is_doubled === true },
      ]),
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

export async function countUsers(connection: Connection, table: UsersTable): Promise<UserCounts> {
  const [link, digest] = [linkSql(table), digestSql(table)];
  const { rows } = await connection.query(
    `select count(*)::int as total, count(${link})::int as linked,
       count(*) filter (where ${digest} is not null and ${link} is null)::int as legacy,
       count(${digest})::int as "withPassword"
     from ${tableSql(table)} u`,
  );
  const schema = z.object({
    total: z.number(),
    linked: z.number(),
    legacy: z.number(),
    withPassword: z.number(),
  });
  return schema.parse(rows[0]);
}
