import { DatabaseError, escapeIdentifier } from "pg";
import { z } from "zod";

import type { Finding } from "../findings";
import { readRelations } from "./catalogue";
import { type Constraint, readTable, type TableFacts } from "./catalogue-table";
import type { Connection } from "./database";
import { finding, quotedList, run } from "./preflight-findings";
import { chooseRelation } from "./preflight-table";
import { columnSql, digestSql, linkSql, tableSql, type UsersTable } from "./users-table";

/**
 * Whether the check constraints that look at the link would let the legacy rows have one, found out by reading alone:
 * the condition is asked of the rows as they would be. Has to be called inside a transaction, which stays usable.
 */
export async function checkLinks(connection: Connection, table: UsersTable): Promise<Finding[]> {
  const alike = await readRelations(connection, table.name.split(".").at(-1) ?? "");
  const relation = chooseRelation(table, alike);
  if (relation === undefined) return [];
  const facts = await readTable(connection, relation);
  const findings: Finding[] = [];
  for (const constraint of facts.constraints) {
    if (!constraint.columns.includes(table.clerkUserId) || constraint.expression === null) continue;
    const counted = await countForbidden(connection, table, facts, constraint);
    if (counted !== undefined) findings.push(judgeCheck(table, constraint, counted));
  }
  return findings;
}

const countsSchema = z.object({ rows: z.number(), forbidden: z.number() });

/** undefined where that cannot be asked: no rows, a privilege that is missing, a function that wants to write. */
async function countForbidden(
  connection: Connection,
  table: UsersTable,
  { columns }: TableFacts,
  { columns: named, expression }: Constraint,
): Promise<z.infer<typeof countsSchema> | undefined> {
  const others = named.filter((name) => name !== table.clerkUserId);
  const type = columns.find(({ name }) => name === table.clerkUserId)?.type ?? "text";
  await connection.query("savepoint links");
  try {
    const { rows } = await connection.query(
      // Null counts as allowed, as it does in a constraint.
      `select count(*)::int as rows, count(*) filter (where (${expression ?? "true"}) is false)::int as forbidden
       from (
         select ${others.map((name) => `${columnSql(name)}, `).join("")}$1::text::${type} as ${escapeIdentifier(table.clerkUserId)}
         from ${tableSql(table)} u
         where ${linkSql(table)} is null and ${digestSql(table)} is not null
       ) as linked`,
      ["user_2abcdefghijklmnopqrstuvwxyzA"],
    );
    const counts = countsSchema.parse(rows[0]);
    return counts.rows === 0 ? undefined : counts;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return undefined;
  } finally {
    await connection.query("rollback to savepoint links");
  }
}

function judgeCheck(
  table: UsersTable,
  { name, definition }: Constraint,
  { rows, forbidden }: z.infer<typeof countsSchema>,
): Finding {
  if (forbidden === 0)
    return finding(
      "link-check",
      "ok",
      `The constraint ${name} lets each of the ${rows.toString()} legacy rows have a link.`,
    );
  return finding(
    "link-check",
    "problem",
    `The constraint ${name} (${definition}) forbids a link beside what the row holds: ${forbidden.toString()} of the ${rows.toString()} legacy rows cannot be linked.`,
    `Let it allow both as long as both logins exist: ${run(`alter table ${tableSql(table)} drop constraint ${quotedList([name])}`)}, and add it anew without that condition.`,
  );
}
