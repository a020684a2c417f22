import { escapeIdentifier } from "pg";
import { z } from "zod";

import type { Finding } from "../findings";
import type { Connection } from "./database";
import { tableSql, type UsersTable } from "./users-table";

/** What the catalogue says of the users table, the ledger and the server; gathered without touching a row. */
const factsSchema = z.object({
  version: z.number(),
  isReadOnly: z.boolean(),
  user: z.string(),
  isEncrypted: z.boolean(),
  isLocal: z.boolean(),
  relation: z.object({ kind: z.string(), hidesRows: z.boolean() }).nullable(),
  columns: z.array(
    z.object({
      name: z.string(),
      type: z.string(),
      length: z.number().nullable(),
      isUnique: z.boolean(),
      mayRead: z.boolean(),
      mayUpdate: z.boolean(),
    }),
  ),
  updateTriggers: z.array(z.string()),
  ledger: z.object({ exists: z.boolean(), mayUse: z.boolean() }),
});

export type DatabaseFacts = z.infer<typeof factsSchema>;

/** Whether `up` would find what it needs, without doing it. Safe in a read-only transaction: catalogue queries that cannot fail. */
export async function checkDatabase(connection: Connection, table: UsersTable): Promise<Finding[]> {
  return judgeDatabase(await databaseFacts(connection, table), table);
}

async function databaseFacts(connection: Connection, table: UsersTable): Promise<DatabaseFacts> {
  const { rows } = await connection.query(
    `with relation as (
       select oid, relkind::text as kind, row_security_active(oid) as "hidesRows"
       from pg_class where oid = to_regclass($1)
     ), columns as (
       select attname::text as name, format_type(atttypid, null) as type,
         case when atttypid = 'varchar'::regtype and atttypmod > 4 then atttypmod - 4 end as length,
         exists (
           select from pg_index i
           where i.indrelid = attrelid and i.indisunique and i.indnkeyatts = 1 and i.indkey[0] = attnum
             and i.indpred is null and i.indisvalid
         ) as "isUnique",
         has_column_privilege(attrelid, attnum, 'select') as "mayRead",
         has_column_privilege(attrelid, attnum, 'update') as "mayUpdate"
       from pg_attribute join relation on attrelid = relation.oid
       where attnum > 0 and not attisdropped order by attnum
     ), schema as (
       select to_regnamespace('clerk_migration')::oid as oid
     )
     select
       current_setting('server_version_num')::int as version,
       pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as "isReadOnly",
       current_user::text as user,
       coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as "isEncrypted",
       coalesce(host(inet_client_addr()) in ('127.0.0.1', '::1'), true) as "isLocal",
       (select to_json(found) from (select kind, "hidesRows" from relation) found) as relation,
       coalesce((select json_agg(columns) from columns), '[]') as columns,
       coalesce((
         select json_agg(tgname) from pg_trigger join relation on tgrelid = relation.oid
         where not tgisinternal and tgenabled <> 'D' and tgtype & 16 <> 0
       ), '[]') as "updateTriggers",
       (select json_build_object(
         'exists', oid is not null,
         'mayUse', case when oid is null then has_database_privilege(current_database(), 'create')
           else has_schema_privilege(oid, 'usage') and not exists (
             select from pg_class
             where relnamespace = schema.oid and relkind = 'r'
               and not (has_table_privilege(pg_class.oid, 'select') and has_table_privilege(pg_class.oid, 'insert')
                 and (relname = 'events' or has_table_privilege(pg_class.oid, 'update')))
           ) end
       ) from schema) as ledger`,
    [tableSql(table)],
  );
  return factsSchema.parse(rows[0]);
}

/** Pure: what these facts mean for a migration, each check with one finding at least. */
export function judgeDatabase(facts: DatabaseFacts, table: UsersTable): Finding[] {
  const name = tableSql(table);
  const server = serverFindings(facts);
  if (facts.relation === null) {
    return [
      ...server,
      problem("table", `There is no table ${name} in this database.`, "Correct DATABASE_URL or usersTable."),
    ];
  }
  return [
    ...server,
    ...relationFindings(facts, facts.relation, name),
    ...columnFindings(facts, table, name),
    ...privilegeFindings(facts, table, name),
  ];
}

const finding =
  (status: Finding["status"]) =>
  (check: string, sentence: string, remedy = ""): Finding => ({
    check: `database/${check}`,
    status,
    sentence,
    remedy,
  });
const [ok, note, problem, unknown] = [finding("ok"), finding("note"), finding("problem"), finding("unknown")];

const OLDEST_VERSION = 120_000;

function serverFindings({ version, isReadOnly, isEncrypted, isLocal }: DatabaseFacts): Finding[] {
  const release = Math.floor(version / 10_000).toString();
  return [
    version >= OLDEST_VERSION
      ? ok("version", `Postgres ${release}.`)
      : problem(
          "version",
          `Postgres ${release} is older than 12, the oldest this is made for.`,
          "Upgrade it.",
        ),
    ...(isReadOnly
      ? [
          problem(
            "read-only",
            "The server takes no writes: it is a replica, or read-only by default.",
            "Name the primary in DATABASE_URL.",
          ),
        ]
      : []),
    isEncrypted || isLocal
      ? ok(
          "tls",
          isEncrypted ? "The connection is encrypted." : "The connection does not leave this machine.",
        )
      : problem(
          "tls",
          "The connection to Postgres is not encrypted, and password hashes would travel over it.",
          "Add ?sslmode=verify-full to DATABASE_URL.",
        ),
  ];
}

function relationFindings(
  { updateTriggers }: DatabaseFacts,
  { kind, hidesRows }: NonNullable<DatabaseFacts["relation"]>,
  name: string,
): Finding[] {
  const isTable = kind === "r" || kind === "p";
  return [
    isTable
      ? ok("table", `The table ${name} is there.`)
      : problem(
          "table",
          `${name} is no table, so a link could not be written safely.`,
          "Name the table itself in usersTable.",
        ),
    ...(hidesRows
      ? [
          unknown(
            "row-security",
            `Row-level security holds for this role on ${name}: rows may be hidden from it.`,
            "Use a role with bypassrls, or the owner.",
          ),
        ]
      : []),
    ...(updateTriggers.length > 0
      ? [note("triggers", `Linking a user fires triggers of ${name}: ${updateTriggers.join(", ")}.`)]
      : []),
  ];
}

type Column = DatabaseFacts["columns"][number];

const isText = ({ type }: Column) => /^(text|character varying|character|citext|name)$/.test(type);
const isTime = ({ type }: Column) => /^(timestamp|date)/.test(type);
const isJson = ({ type }: Column) => /^jsonb?$/.test(type);
const isFlag = (column: Column) =>
  isTime(column) || isText(column) || /^(boolean|smallint|integer|bigint)$/.test(column.type);

/** Clerk's ids are `user_` and 27 characters. */
const CLERK_ID_LENGTH = 32;

function columnFindings({ columns }: DatabaseFacts, table: UsersTable, name: string): Finding[] {
  const byName = new Map(columns.map((column) => [column.name, column]));
  const wanted = wantedColumns(table);
  const missing = wanted.filter(({ column }) => !byName.has(column)).map(({ column }) => column);
  const wrong = wanted.flatMap(({ column, fits, form }) => {
    const found = byName.get(column);
    return found === undefined || fits(found) ? [] : [`${column} is ${found.type} and should be ${form}`];
  });
  const link = byName.get(table.clerkUserId);
  const date = table.createdAt === null ? undefined : byName.get(table.createdAt);
  const add = missing.includes(table.clerkUserId)
    ? ` \`alter table ${name} add column ${escapeIdentifier(table.clerkUserId)} text unique\` adds the link.`
    : "";
  return [
    missing.length === 0
      ? ok("columns", "All columns are there.")
      : problem(
          "columns",
          `${name} has no column ${missing.join(", ")}; it has ${columns.map((column) => column.name).join(", ")}.`,
          `Name them with the settings that end in Column.${add}`,
        ),
    ...(wrong.length > 0
      ? [problem("types", `${wrong.join("; ")}.`, "Name other columns, or change their type.")]
      : []),
    ...(byName.get(table.userId)?.isUnique === false
      ? [
          problem(
            "key",
            `${table.userId} is not unique in ${name}: two rows could be one user.`,
            "Name the table's key in userIdColumn.",
          ),
        ]
      : []),
    ...(link?.isUnique === false
      ? [
          problem(
            "unique-link",
            `${table.clerkUserId} is not unique in ${name}: nothing keeps others from linking two rows to one Clerk user.`,
            `\`create unique index concurrently on ${name} (${escapeIdentifier(table.clerkUserId)})\``,
          ),
        ]
      : []),
    ...(date?.type === "timestamp without time zone"
      ? [note("time-zone", `${date.name} has no time zone, and is taken for UTC.`)]
      : []),
  ];
}

interface WantedColumn {
  readonly column: string;
  readonly fits: (column: Column) => boolean;
  readonly form: string;
}

function wantedColumns(table: UsersTable): WantedColumn[] {
  const any = () => true;
  const linkFits = (column: Column) =>
    isText(column) && (column.length ?? CLERK_ID_LENGTH) >= CLERK_ID_LENGTH;
  const metadataFits = (column: Column) => isJson(column) || isText(column);
  const all: [string | null, WantedColumn["fits"], string][] = [
    [table.userId, any, ""],
    [table.email, isText, "text"],
    [table.passwordHash, isText, "text"],
    [table.clerkUserId, linkFits, "text"],
    [table.fullName, isText, "text"],
    [table.firstName, isText, "text"],
    [table.lastName, isText, "text"],
    [table.createdAt, isTime, "a timestamp"],
    [table.username, isText, "text"],
    [table.phoneNumber, isText, "text"],
    [table.publicMetadata, metadataFits, "json"],
    [table.privateMetadata, metadataFits, "json"],
    [table.banned, isFlag, "a boolean or a timestamp"],
    [table.deleted, isFlag, "a boolean or a timestamp"],
    [table.emailVerified, isFlag, "a boolean or a timestamp"],
  ];
  return all.flatMap(([column, fits, form]) => (column === null ? [] : [{ column, fits, form }]));
}

function privilegeFindings(
  { columns, ledger, user }: DatabaseFacts,
  table: UsersTable,
  name: string,
): Finding[] {
  const role = escapeIdentifier(user);
  const wanted = new Set(wantedColumns(table).map(({ column }) => column));
  const hidden = columns.filter((column) => wanted.has(column.name) && !column.mayRead);
  const link = columns.find((column) => column.name === table.clerkUserId);
  const missing = [
    ...(hidden.length > 0 ? [`\`grant select on ${name} to ${role}\``] : []),
    ...(link?.mayUpdate === false
      ? [`\`grant update (${escapeIdentifier(table.clerkUserId)}) on ${name} to ${role}\``]
      : []),
    ...(ledger.mayUse
      ? []
      : ledger.exists
        ? [
            `\`grant usage on schema clerk_migration to ${role}; grant select, insert, update on all tables in schema clerk_migration to ${role}\``,
          ]
        : [`\`grant create on database … to ${role}\`, for the ledger's schema`]),
  ];
  return [
    missing.length === 0
      ? ok("privileges", `The role ${user} may do all that a run needs.`)
      : problem(
          "privileges",
          `The role ${user} may read for a preview at most: a run needs more.`,
          `Grant it: ${missing.join("; ")}.`,
        ),
  ];
}
