import { escapeIdentifier } from "pg";
import { z } from "zod";

import type { Connection } from "./database";
import { columnSql, tableSql, type UsersTable } from "./users-table";

export interface Reference {
  /** `schema.table.column` */
  readonly table: string;
  readonly rows: number;
  /** How many of them refer to a user who is not there. */
  readonly lost: number;
}

/** Tables that refer to the users table's key by a foreign key of one column, from the catalogue, with their rows. */
export async function readReferences(connection: Connection, table: UsersTable): Promise<Reference[]> {
  const { rows } = await connection.query(
    `select n.nspname::text as schema, c.relname::text as name, a.attname::text as column
     from pg_constraint k
     join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     where k.contype = 'f' and k.confrelid = to_regclass($1) and cardinality(k.conkey) = 1
     order by 1, 2, 3`,
    [tableSql(table)],
  );
  const found = z.array(z.object({ schema: z.string(), name: z.string(), column: z.string() })).parse(rows);
  const references: Reference[] = [];
  for (const { schema, name, column } of found) {
    const own = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
    const counted = await connection.query(
      `select count(*)::int as rows, count(*) filter (where r.${escapeIdentifier(column)} is not null and ${columnSql(table.userId)} is null)::int as lost
       from ${own} r left join ${tableSql(table)} u on ${columnSql(table.userId)} = r.${escapeIdentifier(column)}`,
    );
    const counts = z.object({ rows: z.number(), lost: z.number() }).parse(counted.rows[0]);
    references.push({ table: `${schema}.${name}.${column}`, ...counts });
  }
  return references;
}
