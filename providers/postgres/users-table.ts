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
