import { escapeIdentifier } from "pg";

/** Where the application keeps its users. A column that is null does not exist there. */
export interface UsersTable {
  /** `users`, or `schema.users`. */
  readonly name: string;
  readonly userId: string;
  readonly email: string;
  readonly passwordHash: string;
  /** The one column that is ever written to. */
  readonly clerkUserId: string;
  /** The whole name; ignored where there are columns for its parts. */
  readonly fullName: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly createdAt: string | null;
  /** When the user last did something; decides who is told first. */
  readonly lastActive: string | null;
  readonly username: string | null;
  /** E.164. */
  readonly phoneNumber: string | null;
  /** JSON objects. */
  readonly publicMetadata: string | null;
  readonly privateMetadata: string | null;
  /** True, or a time, where the application has shut the user out, or has deleted the user. */
  readonly banned: string | null;
  readonly deleted: string | null;
  /** True, or a time, where the address has been proven. */
  readonly emailVerified: string | null;
}

/** The columns of a table that is named as everybody names them. */
export const defaultUsersTable: UsersTable = {
  name: "users",
  userId: "user_id",
  email: "email",
  passwordHash: "password_hash",
  clerkUserId: "clerk_user_id",
  fullName: "name",
  firstName: null,
  lastName: null,
  createdAt: "created_at",
  lastActive: null,
  username: null,
  phoneNumber: null,
  publicMetadata: null,
  privateMetadata: null,
  banned: null,
  deleted: null,
  emailVerified: null,
};

/** The table's name, quoted for SQL. */
export function tableSql({ name }: UsersTable): string {
  return name.split(".").map(escapeIdentifier).join(".");
}

/** A column, quoted for SQL; `null` where there is none. */
export function columnSql(column: string | null, alias = "u"): string {
  return column === null ? "null" : `${alias}.${escapeIdentifier(column)}`;
}

/**
 * Who a row is linked to; null where it is to nobody. A blank text is no link. Everything that reads, writes or compares a
 * link goes by this.
 */
export function linkSql({ clerkUserId }: UsersTable): string {
  return `nullif(btrim(${columnSql(clerkUserId)}::text), '')`;
}

/**
 * What applications write where somebody has no password: nothing, `x`, and whatever begins with `!` or `*` (shadow files,
 * Django). MySQL's own hashes begin with `*` as well, and are passwords.
 */
const NO_PASSWORD = "^[[:space:]]*$|^x$|^!|^[*](?![0-9A-Fa-f]{40}$)";

/** The password hash of a row; null where it has none. Everything that asks for one goes by this. */
export function digestSql({ passwordHash }: UsersTable): string {
  const text = `${columnSql(passwordHash)}::text`;
  return `case when ${text} !~ '${NO_PASSWORD}' then ${text} end`;
}
