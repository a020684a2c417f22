import { z } from "zod";

import type { Connection } from "./database";

// The catalogue is asked only in ways that cannot fail, since one failed query ends a transaction. `to_regclass` can
// fail: it refuses a schema that the database user may not use.

const serverSchema = z.object({
  version: z.string(),
  versionNumber: z.number(),
  user: z.string(),
  database: z.string(),
  inRecovery: z.boolean(),
  readOnly: z.boolean(),
  /** The TLS version of the server's end, which may lead to a pooler; null without TLS. */
  tls: z.string().nullable(),
  /** The server sees us at an address that is not routed on the internet. */
  privateNetwork: z.boolean(),
});

export type ServerFacts = z.infer<typeof serverSchema>;

export async function readServer(connection: Connection): Promise<ServerFacts> {
  const { rows } = await connection.query(`
    select
      current_setting('server_version') as version,
      current_setting('server_version_num')::int as "versionNumber",
      current_user::text as "user",
      current_database()::text as "database",
      pg_is_in_recovery() as "inRecovery",
      current_setting('default_transaction_read_only')::boolean as "readOnly",
      (select s.version from pg_stat_ssl s where s.pid = pg_backend_pid() and s.ssl) as tls,
      coalesce(inet_client_addr() <<= any (array[
        '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8', '::1/128', 'fc00::/7'
      ]::inet[]), true) as "privateNetwork"
  `);
  return serverSchema.parse(rows[0]);
}

export const relationSchema = z.object({
  oid: z.string(),
  schema: z.string(),
  name: z.string(),
  kind: z.enum(["table", "partitioned table", "view", "materialized view", "foreign table"]),
  /** Found without naming the schema. */
  visible: z.boolean(),
  usable: z.boolean(),
  /** Row-level security applies to the database user. */
  rowSecurity: z.boolean(),
});

export type Relation = z.infer<typeof relationSchema>;

/** Of a class `c` in a namespace `n`; `rowSecurity` says in SQL whether rows may be hidden. */
export const relationColumns = (rowSecurity: string) => `
  c.oid::text as oid, n.nspname as schema, c.relname as name,
  case c.relkind
    when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
    when 'm' then 'materialized view' else 'foreign table'
  end as kind,
  pg_table_is_visible(c.oid) as visible,
  has_schema_privilege(n.oid, 'usage') as usable,
  ${rowSecurity} as "rowSecurity"`;

/** Everything of the application's that is called like this, in whatever schema and case. */
export async function readRelations(connection: Connection, name: string): Promise<Relation[]> {
  const { rows } = await connection.query(
    `select ${relationColumns("row_security_active(c.oid)")}
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f')
       and lower(c.relname) = lower($1::text)
       and n.nspname !~ '^pg_'
       and n.nspname not in ('information_schema', 'clerk_migration')
     order by n.nspname, c.relname`,
    [name],
  );
  return z.array(relationSchema).parse(rows);
}

const ledgerSchema = z.object({
  mayCreateSchema: z.boolean(),
  /** null where the schema is not there yet. */
  schema: z.object({ usage: z.boolean(), create: z.boolean() }).nullable(),
  /** The privileges that the database user has, by table. */
  tables: z.record(z.string(), z.array(z.string())),
});

export type LedgerFacts = z.infer<typeof ledgerSchema>;

export async function readLedgerFacts(connection: Connection): Promise<LedgerFacts> {
  const { rows } = await connection.query(`
    select
      has_database_privilege(current_database(), 'create') as "mayCreateSchema",
      (
        select json_build_object(
          'usage', has_schema_privilege(n.oid, 'usage'), 'create', has_schema_privilege(n.oid, 'create')
        )
        from pg_namespace n where n.nspname = 'clerk_migration'
      ) as schema,
      (
        select coalesce(json_object_agg(c.relname, array(
          select privilege from unnest(array['select', 'insert', 'update']) as privilege
          where has_table_privilege(c.oid, privilege)
        )), '{}')
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'clerk_migration' and c.relkind = 'r'
      ) as tables
  `);
  return ledgerSchema.parse(rows[0]);
}
