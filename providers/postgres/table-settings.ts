import { z } from "zod";

import { column, optionalColumn } from "../setting-kinds";
import { defaultUsersTable, type UsersTable } from "./users-table";

const COLUMN = "column:";

export const tableShape = {
  usersTable: z
    .string()
    .regex(
      /^[^"\s.]+(\.[^"\s.]+)?$/,
      "usersTable has to be a table, or a schema and a table with a dot between, without quotes. Correct it.",
    )
    .default(defaultUsersTable.name),
  userIdColumn: column("userIdColumn", defaultUsersTable.userId),
  emailColumn: column("emailColumn", defaultUsersTable.email),
  passwordHashColumn: column("passwordHashColumn", defaultUsersTable.passwordHash),
  clerkUserIdColumn: column("clerkUserIdColumn", defaultUsersTable.clerkUserId),
  nameColumn: optionalColumn("nameColumn", defaultUsersTable.fullName),
  firstNameColumn: optionalColumn("firstNameColumn", null),
  lastNameColumn: optionalColumn("lastNameColumn", null),
  createdAtColumn: optionalColumn("createdAtColumn", defaultUsersTable.createdAt),
  lastActiveColumn: optionalColumn("lastActiveColumn", null),
  usernameColumn: optionalColumn("usernameColumn", null),
  phoneColumn: optionalColumn("phoneColumn", null),
  publicMetadataColumn: optionalColumn("publicMetadataColumn", null),
  privateMetadataColumn: optionalColumn("privateMetadataColumn", null),
  bannedColumn: optionalColumn("bannedColumn", null),
  deletedColumn: optionalColumn("deletedColumn", null),
  emailVerified: z
    .string()
    .regex(
      /^(all|none|column:[^"\s.]+)$/,
      "emailVerified has to be all, none or column:<name>. Correct it, or remove it for the default, all.",
    )
    .default("all"),
};

/** The settings of the table in one piece, as the queries want it. */
export function withTable<T extends z.infer<z.ZodObject<typeof tableShape>>>(
  settings: T,
): T & { table: UsersTable } {
  const { emailVerified } = settings;
  const hasParts = settings.firstNameColumn !== null || settings.lastNameColumn !== null;
  const table: UsersTable = {
    name: settings.usersTable,
    userId: settings.userIdColumn,
    email: settings.emailColumn,
    passwordHash: settings.passwordHashColumn,
    clerkUserId: settings.clerkUserIdColumn,
    fullName: hasParts ? null : settings.nameColumn,
    firstName: settings.firstNameColumn,
    lastName: settings.lastNameColumn,
    createdAt: settings.createdAtColumn,
    lastActive: settings.lastActiveColumn,
    username: settings.usernameColumn,
    phoneNumber: settings.phoneColumn,
    publicMetadata: settings.publicMetadataColumn,
    privateMetadata: settings.privateMetadataColumn,
    banned: settings.bannedColumn,
    deleted: settings.deletedColumn,
    emailVerified: emailVerified.startsWith(COLUMN) ? emailVerified.slice(COLUMN.length) : null,
  };
  return { ...settings, table };
}
