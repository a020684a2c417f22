import { escapeIdentifier } from "pg";

import type { Finding } from "../findings";
import type { Column, TableFacts } from "./catalogue-table";
import { type ColumnRole, finding, namedColumns, run } from "./preflight-findings";
import { flagReading } from "./times";
import { tableSql, type UsersTable } from "./users-table";

/** `user_` and 27 letters and digits. */
const CLERK_ID_LENGTH = 32;

const times = ["timestamptz", "timestamp", "date"];

type Judge = (column: Column, table: UsersTable) => Finding | undefined;

const byRole: Readonly<Record<ColumnRole, Judge>> = {
  // Any type has a text form; that it names one row is asked of the index.
  userId: () => undefined,
  email: asText,
  passwordHash: asDigest,
  clerkUserId: asClerkId,
  fullName: asText,
  firstName: asText,
  lastName: asText,
  createdAt: asTime,
  lastActive: asTime,
  username: asText,
  phoneNumber: asText,
  publicMetadata: asMetadata,
  privateMetadata: asMetadata,
  banned: (column) => asFlag(column, bannedText),
  deleted: (column) =>
    asFlag(column, () => "a user is deleted from then on; one to come, or infinity, is no deletion yet"),
  emailVerified: (column) =>
    asFlag(column, () => "an address is proven from then on; one to come, or infinity, proves nothing yet"),
};

/** One finding for each column to speak of. */
export function judgeTypes(table: UsersTable, { columns }: TableFacts): Finding[] {
  const findings = namedColumns(table).flatMap(({ role, column: wanted }) => {
    const column = columns.find(({ name }) => name === wanted);
    return (column === undefined ? undefined : byRole[role](column, table)) ?? [];
  });
  return findings.length > 0 ? findings : [finding("types", "ok", "The type of every column fits.")];
}

function isText({ category }: Column): boolean {
  return category === "S";
}

function unfit(column: Column, expected: string, remedy: string): Finding {
  return finding("types", "problem", `${column.name} is ${column.type}; it should be ${expected}.`, remedy);
}

function retype(column: Column, table: UsersTable, type: string, using: string): string {
  const name = escapeIdentifier(column.name);
  return run(`alter table ${tableSql(table)} alter column ${name} type ${type} using ${using}`);
}

const OTHER_COLUMN = "Name another column in the settings";

function asText(column: Column): Finding | undefined {
  return isText(column) ? undefined : unfit(column, "text", `${OTHER_COLUMN}.`);
}

function asDigest(column: Column, table: UsersTable): Finding | undefined {
  if (column.base !== "bytea") return asText(column);
  const text = retype(column, table, "text", `convert_from(${escapeIdentifier(column.name)}, 'UTF8')`);
  return unfit(
    column,
    "text, such as $2b$10$…",
    `If its bytes spell such a text: ${text}, together with the application. Raw bytes cannot be carried over; name a column with the hash as text.`,
  );
}

function asClerkId(column: Column, table: UsersTable): Finding | undefined {
  const fits = isText(column) && (column.length === null || column.length >= CLERK_ID_LENGTH);
  if (fits) return undefined;
  const using = `${escapeIdentifier(column.name)}::text`;
  return unfit(
    column,
    `text: Clerk's ids look like user_2abcdefghijklmnopqrstuvwxyzA, ${CLERK_ID_LENGTH} characters`,
    `${retype(column, table, "text", using)}, or name another column in the settings.`,
  );
}

function asTime(column: Column, table: UsersTable): Finding | undefined {
  switch (column.base) {
    case "timestamptz":
      return undefined;
    case "timestamp":
      return finding("types", "note", `${column.name} is ${column.type}: it is taken as UTC.`);
    case "date":
      return finding("types", "note", `${column.name} is date: it is taken as midnight UTC.`);
    default: {
      const using = `${escapeIdentifier(column.name)}::timestamptz`;
      return unfit(
        column,
        "a timestamp",
        isText(column)
          ? `${retype(column, table, "timestamptz", using)}, or leave the column out of the settings.`
          : `${OTHER_COLUMN}, or leave it out.`,
      );
    }
  }
}

function asMetadata(column: Column): Finding | undefined {
  return column.base === "json" || column.base === "jsonb" || isText(column)
    ? undefined
    : unfit(column, "jsonb, json or text with a JSON object", `${OTHER_COLUMN}, or leave it out.`);
}

/** `meaning` says how a time in the column is read. */
function asFlag(column: Column, meaning: (column: string) => string): Finding | undefined {
  if (times.includes(column.base))
    return finding("types", "note", `${column.name} is ${column.type}, a time: ${meaning(column.name)}.`);
  return column.base === "bool" || column.category === "N"
    ? undefined
    : unfit(column, "a boolean, a timestamp or a number", `${OTHER_COLUMN}, or leave it out.`);
}

function bannedText(column: string): string {
  return flagReading(column) === "until"
    ? "a user is banned until then, as its name says; one that is over is no ban"
    : "a user is banned from then on; one to come, or infinity, is no ban yet";
}
