import { escapeIdentifier } from "pg";

import { type Finding, finding as findingOf } from "../findings";
import type { UsersTable } from "./users-table";

/** The names of the checks over the database, without `database/`. docs/checks.md explains each. */
export const databaseChecks = [
  "version",
  "writable",
  "timeouts",
  "tls",
  "table",
  "columns",
  "types",
  "user-id",
  "link-column",
  "link-check",
  "select",
  "update",
  "retire",
  "row-security",
  "triggers",
  "ledger",
  "condition",
] as const;

export type DatabaseCheck = (typeof databaseChecks)[number];

export function finding(
  check: DatabaseCheck,
  status: Finding["status"],
  sentence: string,
  remedy = "",
): Finding {
  return findingOf(`database/${check}`, status, sentence, remedy);
}

/** The columns that settings name, by what they are for. */
export type ColumnRole = Exclude<keyof UsersTable, "name">;

const roles = [
  "userId",
  "email",
  "passwordHash",
  "clerkUserId",
  "fullName",
  "firstName",
  "lastName",
  "createdAt",
  "lastActive",
  "username",
  "phoneNumber",
  "publicMetadata",
  "privateMetadata",
  "banned",
  "deleted",
  "emailVerified",
] as const satisfies readonly ColumnRole[];

/** Those that the table is said to have. */
export function namedColumns(table: UsersTable): { role: ColumnRole; column: string }[] {
  return roles.flatMap((role) => {
    const column = table[role];
    return column === null ? [] : [{ role, column }];
  });
}

/** Statements for an administrator to run. */
export function run(...statements: readonly string[]): string {
  return `Run \`${statements.join("; ")}\``;
}

export function quotedList(identifiers: readonly string[]): string {
  return identifiers.map(escapeIdentifier).join(", ");
}

/** `a, b and c`. */
export function listed(words: readonly string[]): string {
  const [last = ""] = words.slice(-1);
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} and ${last}`;
}

/** A condition, or an error that the application raises, may name an address. */
export function withoutAddresses(text: string): string {
  return text.replace(/[^\s'"(]+@/g, "***@");
}
