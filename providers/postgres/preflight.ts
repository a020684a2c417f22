import { DatabaseError } from "pg";

import { MigrationError } from "../errors";
import type { Finding } from "../findings";
import { type LedgerFacts, readLedgerFacts, readRelations, readServer, type ServerFacts } from "./catalogue";
import { readTable, type TableFacts } from "./catalogue-table";
import { type Connection, newClient, readTimeouts } from "./database";
import { foreignLedger, foreignOwner, othersTables, readLedgerVersion, tablesOwner } from "./ledger-steps";
import { judgeRetire, judgeRowSecurity, judgeSelect, judgeTriggers, judgeUpdate } from "./preflight-access";
import { finding, withoutAddresses } from "./preflight-findings";
import { judgeLinkColumn, judgeUserId } from "./preflight-keys";
import {
  type ClientEnd,
  isTooOld,
  judgeLedger,
  judgeTimeouts,
  judgeTls,
  judgeUpgrade,
  judgeVersion,
  judgeWritable,
} from "./preflight-server";
import { chooseRelation, judgeColumns, judgeTable, missingTable } from "./preflight-table";
import { judgeTypes } from "./preflight-types";
import { saidBy } from "./said";
import { tableSql, type UsersTable } from "./users-table";
import { withoutLiterals } from "./without-literals";

/**
 * What in the database would keep a run from doing its work. Reads the catalogue alone, so a database user that may do
 * nothing is enough, and no query fails. A check with several things to say gives several findings.
 */
export async function checkDatabase(
  connection: Connection,
  table: UsersTable,
  databaseUrl: string,
  retires = false,
): Promise<Finding[]> {
  const server = await readServer(connection);
  if (isTooOld(server)) return [judgeVersion(server)];

  const alike = await readRelations(connection, table.name.split(".").at(-1) ?? "");
  const relation = chooseRelation(table, alike);
  return [
    judgeVersion(server),
    judgeWritable(server),
    judgeTimeouts(await readTimeouts(connection), server),
    judgeTls(clientEnd(databaseUrl), server),
    ...(relation === undefined
      ? [missingTable(table, alike, server.database)]
      : judgeRelation(table, await readTable(connection, relation), server.user, retires)),
    await checkLedger(connection, server),
  ];
}

async function checkLedger(connection: Connection, server: ServerFacts): Promise<Finding> {
  const foreign = await foreignOwner(connection);
  if (foreign !== undefined) return refused(foreignLedger(foreign));
  const facts = await readLedgerFacts(connection);
  return (await checkLedgerVersion(connection, facts)) ?? judgeLedger(facts, server);
}

/** undefined where there is no ledger, one of this checkout's form, or one that is shut to us. */
async function checkLedgerVersion(
  connection: Connection,
  { schema, tables }: LedgerFacts,
): Promise<Finding | undefined> {
  const isReadable = tables.steps?.includes("select") ?? Object.keys(tables).length > 0;
  if (schema?.usage !== true || !isReadable) return undefined;
  try {
    // What is gone needs no privileges.
    const version = await readLedgerVersion(connection);
    if (version.at === version.to) return undefined;
    const stranger = await tablesOwner(connection);
    return stranger === undefined ? judgeUpgrade(version) : refused(othersTables(version, stranger));
  } catch (error) {
    if (error instanceof MigrationError) return refused(error);
    throw error;
  }
}

function refused({ reason, remedy }: MigrationError): Finding {
  return finding("ledger", "problem", reason, remedy);
}

function judgeRelation(table: UsersTable, facts: TableFacts, user: string, retires: boolean): Finding[] {
  return [
    judgeTable(table, facts),
    judgeColumns(table, facts),
    judgeTypes(table, facts),
    judgeUserId(table, facts) ?? [],
    judgeLinkColumn(table, facts),
    judgeSelect(table, facts, user),
    judgeUpdate(table, facts, user) ?? [],
    retires ? (judgeRetire(table, facts, user) ?? []) : [],
    judgeRowSecurity(table, facts, user),
    judgeTriggers(table, facts),
  ].flat();
}

/** As the driver understands the URL and the environment. */
function clientEnd(databaseUrl: string): ClientEnd {
  const { host, ssl } = newClient(databaseUrl);
  return { host, encrypts: ssl, verifies: !/[?&]sslmode=no-verify(&|$)/.test(databaseUrl) };
}

/**
 * Whether Postgres takes the setting `where`, a condition on a row `u` of the table. Plans a query with it and runs
 * none. Has to be called inside a transaction, which stays usable.
 */
export async function checkCondition(
  connection: Connection,
  table: UsersTable,
  where: string,
): Promise<Finding> {
  // Twice, between two kinds of brackets: `true) or (true` fits into one kind, and would break out of any other query.
  // The line breaks keep a comment at its end from swallowing what follows.
  const before = `explain (costs off) select 1 from ${tableSql(table)} u where (`;
  const explain = {
    text: `${before}${where}\n) and (array[${where}\n])[1]`,
    // Only one statement fits into the extended protocol.
    queryMode: "extended",
  };
  await connection.query("savepoint condition");
  try {
    await connection.query(explain);
    return finding("condition", "ok", `Postgres takes the condition \`${withoutLiterals(where)}\`.`);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return finding(
      "condition",
      "problem",
      `Postgres does not take the condition \`${withoutLiterals(where)}\`: ${withoutAddresses(saidBy(error))}${placeOf(error, before, where)}.`,
      "Correct the setting `where`: one SQL condition, in which u is a row of the table.",
    );
  } finally {
    await connection.query("rollback to savepoint condition");
  }
}

/** Where in the condition Postgres stumbles: its message may quote a literal, a place does not. */
function placeOf({ position }: DatabaseError, before: string, where: string): string {
  const place = Number(position) - Array.from(before).length;
  return place >= 1 && place <= Array.from(where).length ? `, at character ${place.toString()} of it` : "";
}
