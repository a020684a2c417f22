import { z } from "zod";

import { type Relation, relationColumns, relationSchema } from "./catalogue";
import type { Connection } from "./database";

const columnSchema = z.object({
  name: z.string(),
  type: z.string(),
  /** The type below all domains, and its category in `pg_type`. */
  base: z.string(),
  category: z.string(),
  /** Of a varchar or char with a limit. */
  length: z.number().nullable(),
  notNull: z.boolean(),
  generated: z.boolean(),
  updatable: z.boolean(),
  maySelect: z.boolean(),
  mayUpdate: z.boolean(),
});

export type Column = z.infer<typeof columnSchema>;

/** What the catalogue says of one relation, by its oid. */
async function rowsOf<T>(
  connection: Connection,
  oid: string,
  row: z.ZodType<T>,
  query: string,
): Promise<T[]> {
  const { rows } = await connection.query(query, [oid]);
  return z.array(row).parse(rows);
}

function readColumns(connection: Connection, oid: string): Promise<Column[]> {
  return rowsOf(
    connection,
    oid,
    columnSchema,
    `select
       a.attname as name,
       format_type(a.atttypid, a.atttypmod) as type,
       base.name as base,
       base.category,
       case when base.name in ('varchar', 'bpchar') and base.typmod > 4 then base.typmod - 4 end as length,
       a.attnotnull as "notNull",
       a.attgenerated <> '' or a.attidentity = 'a' as generated,
       -- The function asks for a trigger of delete as well, and nothing is deleted here. 80 is an update, instead of it.
       pg_column_is_updatable(a.attrelid, a.attnum, true) or exists (
         select from pg_trigger t where t.tgrelid = a.attrelid and t.tgtype & 80 = 80 and t.tgenabled <> 'D'
       ) as updatable,
       has_column_privilege(a.attrelid, a.attnum, 'select') as "maySelect",
       has_column_privilege(a.attrelid, a.attnum, 'update') as "mayUpdate"
     from pg_attribute a
     cross join lateral (
       with recursive below (oid, typmod) as (
         select a.atttypid, a.atttypmod
         union all
         select t.typbasetype, case below.typmod when -1 then t.typtypmod else below.typmod end
         from below join pg_type t on t.oid = below.oid
         where t.typtype = 'd'
       )
       select t.typname as name, t.typcategory as category, below.typmod
       from below join pg_type t on t.oid = below.oid
       where t.typtype <> 'd'
     ) as base
     where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
     order by a.attnum`,
  );
}

const indexSchema = z.object({
  name: z.string(),
  /** null for an expression. */
  columns: z.array(z.string().nullable()),
  predicate: z.string().nullable(),
  primary: z.boolean(),
  valid: z.boolean(),
});

export type UniqueIndex = z.infer<typeof indexSchema>;

function readUniqueIndexes(connection: Connection, oid: string): Promise<UniqueIndex[]> {
  return rowsOf(
    connection,
    oid,
    indexSchema,
    `select
       c.relname as name,
       (
         select json_agg(a.attname order by k.position)
         from unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
         left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
         where k.position <= i.indnkeyatts
       ) as columns,
       pg_get_expr(i.indpred, i.indrelid) as predicate,
       i.indisprimary as primary,
       i.indisvalid as valid
     from pg_index i
     join pg_class c on c.oid = i.indexrelid
     where i.indrelid = $1::oid and i.indisunique
     order by i.indisprimary desc, c.relname`,
  );
}

const constraintSchema = z.object({
  name: z.string(),
  kind: z.enum(["check", "foreign key"]),
  definition: z.string(),
  /** The condition of a check; null for a foreign key. */
  expression: z.string().nullable(),
  columns: z.array(z.string()),
});

export type Constraint = z.infer<typeof constraintSchema>;

function readConstraints(connection: Connection, oid: string): Promise<Constraint[]> {
  return rowsOf(
    connection,
    oid,
    constraintSchema,
    `select
       k.conname as name,
       case k.contype when 'c' then 'check' else 'foreign key' end as kind,
       pg_get_constraintdef(k.oid) as definition,
       pg_get_expr(k.conbin, k.conrelid) as expression,
       (
         select coalesce(json_agg(a.attname), '[]')
         from pg_attribute a
         where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
       ) as columns
     from pg_constraint k
     where k.conrelid = $1::oid and k.contype in ('c', 'f')
     order by k.conname`,
  );
}

const triggerSchema = z.object({
  name: z.string(),
  function: z.string(),
  /** Of an `update of`; empty where every update fires it. */
  columns: z.array(z.string()),
});

export type Trigger = z.infer<typeof triggerSchema>;

/** The application's triggers that fire on an update, those of the partitions as well. */
function readUpdateTriggers(connection: Connection, oid: string): Promise<Trigger[]> {
  return rowsOf(
    connection,
    oid,
    triggerSchema,
    `select distinct
       t.tgname as name,
       f.proname as function,
       array(
         select a.attname::text from pg_attribute a
         where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[])
         order by a.attname
       ) as columns
     from pg_trigger t
     join pg_proc f on f.oid = t.tgfoid
     where t.tgrelid in (select $1::oid union select relid::oid from pg_partition_tree($1::oid::regclass))
       and not t.tgisinternal
       and t.tgenabled in ('O', 'A')
       and t.tgtype & 16 <> 0
     order by name`,
  );
}

const policySchema = z.object({
  name: z.string(),
  command: z.enum(["select", "insert", "update", "delete", "all"]),
  permissive: z.boolean(),
});

export type Policy = z.infer<typeof policySchema>;

/** Those for the database user or a role it is in. */
function readPolicies(connection: Connection, oid: string): Promise<Policy[]> {
  return rowsOf(
    connection,
    oid,
    policySchema,
    `select
       p.polname as name,
       case p.polcmd
         when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
       end as command,
       p.polpermissive as permissive
     from pg_policy p
     where p.polrelid = $1::oid
       -- 0 is everybody, and no role that could be asked for.
       and (select bool_or(case role when 0 then true else pg_has_role(role, 'usage') end) from unnest(p.polroles) as role)
     order by p.polname`,
  );
}

/** The tables that a view reads, through other views as well: a link is written to one of them. */
async function readBelow(connection: Connection, oid: string): Promise<Relation[]> {
  return rowsOf(
    connection,
    oid,
    relationSchema,
    `with recursive below (oid) as (
       select $1::oid
       union
       select d.refobjid
       from below b
       join pg_rewrite r on r.ev_class = b.oid
       join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
     )
     select ${relationColumns("c.relrowsecurity")}
     from below b
     join pg_class c on c.oid = b.oid
     join pg_namespace n on n.oid = c.relnamespace
     where c.oid <> $1::oid and c.relkind in ('r', 'p', 'm', 'f')
     order by n.nspname, c.relname`,
  );
}

export interface TableFacts extends Relation {
  /** Of a view. */
  readonly below: readonly TableFacts[];
  readonly columns: readonly Column[];
  readonly uniqueIndexes: readonly UniqueIndex[];
  readonly constraints: readonly Constraint[];
  readonly updateTriggers: readonly Trigger[];
  readonly policies: readonly Policy[];
}

/** With the tables below it, where it is a view. */
export async function readTable(connection: Connection, relation: Relation): Promise<TableFacts> {
  const below: TableFacts[] = [];
  if (relation.kind === "view")
    for (const one of await readBelow(connection, relation.oid)) below.push(await readTable(connection, one));
  return {
    ...relation,
    below,
    columns: await readColumns(connection, relation.oid),
    uniqueIndexes: await readUniqueIndexes(connection, relation.oid),
    constraints: await readConstraints(connection, relation.oid),
    updateTriggers: await readUpdateTriggers(connection, relation.oid),
    policies: await readPolicies(connection, relation.oid),
  };
}
