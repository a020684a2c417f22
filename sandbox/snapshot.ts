import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import { z } from "zod";

import { connected } from "./postgres";

/** What a database holds, small enough to keep and to compare. Tables by `schema.table`. */
export interface DatabaseSnapshot {
  readonly tables: Readonly<Record<string, TableSnapshot>>;
}

export interface TableSnapshot {
  readonly rows: number;
  /** Over whole rows, ordered by primary key (by content, where there is none). */
  readonly digest: string;
  /** A digest a column, in the same order. It also changes with the column's type. */
  readonly columns: Readonly<Record<string, string>>;
}

interface Table {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly primaryKey: readonly string[];
}

/** Values print the same way whatever the server's, the database's and the user's settings. */
const PRINTING = `
  set local timezone = 'UTC';
  set local datestyle = 'ISO, YMD';
  set local intervalstyle = 'iso_8601';
  set local bytea_output = 'hex';
  set local extra_float_digits = 1;
`;

const tableSchema = z.object({
  schema: z.string(),
  name: z.string(),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  primaryKey: z.array(z.string()),
});

const digestsSchema = z.object({
  rows: z.coerce.number(),
  digest: z.string(),
  columns: z.array(z.string()),
});

/** Every table of the application, but not the ledger's, at one moment. Digests are made in the database; no row leaves it. */
export async function snapshotDatabase(url: string): Promise<DatabaseSnapshot> {
  return connected(url, async (client) => {
    await client.query("begin transaction isolation level repeatable read read only");
    await client.query(PRINTING);
    const tables: Record<string, TableSnapshot> = {};
    for (const table of await applicationTables(client)) {
      tables[`${table.schema}.${table.name}`] = await snapshotTable(client, table);
    }
    await client.query("commit");
    return { tables };
  });
}

/** A sentence for each difference; none means that both hold the same, byte for byte. */
export function describeDifference(before: DatabaseSnapshot, after: DatabaseSnapshot): string[] {
  return keysOf(before.tables, after.tables).flatMap((name) => {
    const [was, is] = [before.tables[name], after.tables[name]];
    if (was === undefined) return [`Table ${name} is new.`];
    if (is === undefined) return [`Table ${name} is gone.`];
    return describeTable(name, was, is);
  });
}

function describeTable(name: string, was: TableSnapshot, is: TableSnapshot): string[] {
  const columns = keysOf(was.columns, is.columns);
  const added = columns.filter((column) => was.columns[column] === undefined);
  const removed = columns.filter((column) => is.columns[column] === undefined);
  const changed = columns.filter(
    (column) => ![...added, ...removed].includes(column) && was.columns[column] !== is.columns[column],
  );
  const differences = [
    added.length === 0 ? [] : [`Table ${name} has new columns: ${added.join(", ")}.`],
    removed.length === 0 ? [] : [`Table ${name} has lost columns: ${removed.join(", ")}.`],
    // Rows that came or went change every column, so the list would tell nothing.
    was.rows !== is.rows
      ? [`Table ${name} has ${is.rows} rows; it had ${was.rows}.`]
      : changed.length === 0
        ? []
        : [`Table ${name} differs in: ${changed.join(", ")}.`],
  ].flat();
  if (differences.length === 0 && was.digest !== is.digest)
    return [`Table ${name} has its columns in another order.`];
  return differences;
}

function keysOf(before: object, after: object): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
}

async function applicationTables(client: Client): Promise<Table[]> {
  const { rows } = await client.query(`
    select
      n.nspname as schema,
      c.relname as name,
      (
        select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum), '[]')
        from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      ) as columns,
      (
        select coalesce(json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum)), '[]')
        from pg_index i
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
        where i.indrelid = c.oid and i.indisprimary
      ) as "primaryKey"
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
      and not c.relispartition
      and n.nspname !~ '^pg_'
      and n.nspname not in ('information_schema', 'clerk_migration')
    order by n.nspname, c.relname
  `);
  return z.array(tableSchema).parse(rows);
}

async function snapshotTable(client: Client, table: Table): Promise<TableSnapshot> {
  const key =
    table.primaryKey.length === 0
      ? ["t::text"]
      : table.primaryKey.map((name) => `t.${escapeIdentifier(name)}`);
  const order = `order by ${key.join(", ")}`;
  const columns = table.columns.map(({ name }) => {
    const value = `t.${escapeIdentifier(name)}`;
    return `md5(coalesce(string_agg(case when ${value} is null then '-' else md5(${value}::text) end, '' ${order}), ''))`;
  });
  const { rows } = await client.query(`
    select
      count(*) as rows,
      md5(coalesce(string_agg(md5(t::text), '' ${order}), '')) as digest,
      array[${columns.join(", ")}]::text[] as columns
    from ${escapeIdentifier(table.schema)}.${escapeIdentifier(table.name)} as t
  `);
  const digests = digestsSchema.parse(rows[0]);
  return {
    rows: digests.rows,
    digest: digests.digest,
    columns: Object.fromEntries(
      table.columns.map(({ name, type }, index) => [name, `${type} ${digests.columns[index] ?? ""}`]),
    ),
  };
}
