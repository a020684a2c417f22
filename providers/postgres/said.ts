import type { DatabaseError } from "pg";

/**
 * SQLSTATEs whose messages name roles, databases, relations, columns, functions and types, and never a value: trouble with
 * connection, login, database, resources and operator, and names that are missing, unclear or shut to us, or stand where they may not.
 */
const WITHOUT_VALUES = /^(08|28|3D|53|57)|^(42501|42P01|42P02|42702|42703|42803|42804|42883)$/;

/**
 * What may be shown of an error of Postgres: the SQLSTATE, and the message only where it cannot quote a row. `detail` and
 * `where` never.
 */
export function saidBy({ code = "unknown", message, where }: DatabaseError): string {
  // With a context a function of somebody else's was running, which may raise any SQLSTATE with any words.
  if (where === undefined && WITHOUT_VALUES.test(code)) return `${message}, SQLSTATE ${code}`;
  return `SQLSTATE ${code}; its message may quote a row, so only the server's log shows it`;
}
