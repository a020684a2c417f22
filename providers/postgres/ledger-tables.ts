import { z } from "zod";

import type { Connection } from "./database";

const failure = {
  failure_code: "null::text",
  failure_reason: "null::text",
  failure_remedy: "null::text",
};
/** An older ledger knows no migrations: until an `up` brings it to today's form, the instance stands for one. */
const INSTANCE = "clerk_instance_id";
const owner = { stack: "null::text", [INSTANCE]: "null::text", migration_id: INSTANCE };
const times = { created_at: "null::timestamptz", updated_at: "null::timestamptz" };

/** Every column of the ledger's tables, with how it reads in an older ledger that has none: a new one comes here, too. */
export const ledgerColumns = {
  users: {
    user_id: "null::text",
    ...owner,
    clerk_user_id: "null::text",
    origin: "null::text",
    status: "null::text",
    passwords: "null::text",
    digest_fingerprint: "null::text",
    profile_fingerprint: "null::text",
    clerk_password_at: "null::bigint",
    attempt: "1",
    ...failure,
    linked_at: "null::timestamptz",
    ...times,
    arrived_at: "null::timestamptz",
    external_id_set: "false",
  },
  notifications: {
    user_id: "null::text",
    number: "0",
    way: "'invitation'::text",
    ...owner,
    credential_id: "null::text",
    email_fingerprint: "null::text",
    status: "null::text",
    attempt: "1",
    ...failure,
    sent_at: "null::timestamptz",
    ...times,
  },
  mails: {
    mail_id: "null::bigint",
    at: "null::timestamptz",
    ...owner,
    user_id: "null::text",
    number: "0",
    way: "'invitation'::text",
    outcome: "'sent'::text",
  },
  retired_passwords: {
    user_id: "null::text",
    ...owner,
    status: "null::text",
    key_id: "null::text",
    sealed: "null::bytea",
    digest_fingerprint: "null::text",
    attempt: "1",
    ...failure,
    retired_at: "null::timestamptz",
    ...times,
  },
  runs: {
    run_id: "null::bigint",
    ...owner,
    operator: "null::text",
    commit_id: "null::text",
    planned: "null::jsonb",
    actual: "null::jsonb",
    started_at: "null::timestamptz",
    finished_at: "null::timestamptz",
    requests: "0",
    repeated: "0",
    limited: "0",
    host: "null::text",
    engine: "null::text",
    removable: "'{}'::text[]",
  },
  events: {
    event_id: "null::bigint",
    at: "null::timestamptz",
    stack: "null::text",
    subject: "null::text",
    user_id: "null::text",
    status: "null::text",
    failure_code: "null::text",
    migration_id: "null::text",
  },
} satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

export type LedgerTable = keyof typeof ledgerColumns;

const allTables: readonly string[] = [...Object.keys(ledgerColumns), "migrations"];

/**
 * What to select from, in this checkout's form whatever the ledger's is, for whoever may only read: a table that is not
 * there yet is empty, a column has its default. To be given an alias.
 */
export async function ledgerTable(connection: Connection, table: LedgerTable): Promise<string> {
  const columns = await columnsOf(connection, table);
  if (table === "mails" && columns.size === 0) return mailsOf(await ledgerTable(connection, "notifications"));
  const source = completed(columns, table);
  if (table !== "notifications") return source;
  const invitations = await columnsOf(connection, "invitations");
  return invitations.size === 0 ? source : withInvitations(source);
}

function completed(found: ReadonlySet<string>, table: LedgerTable): string {
  const missing = Object.entries(ledgerColumns[table])
    .filter(([column]) => !found.has(column))
    .map(([column, value]) => `${value} as ${column}`);
  if (missing.length === 0) return `clerk_migration.${table}`;
  if (found.size === 0)
    return `(select ${missing.join(", ")} from (select null::text as ${INSTANCE}) as nothing where false)`;
  return `(select *, ${missing.join(", ")} from clerk_migration.${table})`;
}

/** Once the invitation was the only way to tell a user, in a table of its own, until step 0. */
function withInvitations(notifications: string): string {
  const earlier: Readonly<Record<string, string>> = {
    number: "0",
    way: "'invitation'",
    credential_id: "invitation_id",
    migration_id: INSTANCE,
  };
  const columns = Object.entries(ledgerColumns.notifications).map(([column]) => column);
  return `(
    select ${columns.join(", ")} from ${notifications} as notifications
    union all
    select ${columns.map((column) => earlier[column] ?? column).join(", ")} from clerk_migration.invitations as earlier
    where not exists (
      select from ${notifications} as later where later.user_id = earlier.user_id and later.number = 0
    )
  )`;
}

/** Until step 3 only the last mail of each kind was on record, and may have left. */
function mailsOf(notifications: string): string {
  return `(
    select null::bigint as mail_id, coalesce(sent_at, updated_at) as at, stack, clerk_instance_id, migration_id, user_id, number, way,
      case when status in ('sending', 'unknown', 'rehearsed') then status else 'sent' end as outcome
    from ${notifications} as notifications
    where sent_at is not null or status in ('sending', 'unknown')
  )`;
}

/** Which of the ledger's tables are not there. */
export async function missingTables(connection: Connection): Promise<string[]> {
  const { rows } = await connection.query(
    `select class.relname as name
     from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
     where namespace.nspname = 'clerk_migration' and class.relkind = 'r'`,
  );
  const found = new Set(
    z
      .array(z.object({ name: z.string() }))
      .parse(rows)
      .map(({ name }) => name),
  );
  return allTables.filter((table) => !found.has(table));
}

async function columnsOf(connection: Connection, table: string): Promise<ReadonlySet<string>> {
  const { rows } = await connection.query(
    `select attribute.attname as name
     from pg_attribute attribute
     join pg_class class on class.oid = attribute.attrelid
     join pg_namespace namespace on namespace.oid = class.relnamespace
     where namespace.nspname = 'clerk_migration' and class.relname = $1 and class.relkind = 'r'
       and attribute.attnum > 0 and not attribute.attisdropped`,
    [table],
  );
  return new Set(
    z
      .array(z.object({ name: z.string() }))
      .parse(rows)
      .map(({ name }) => name),
  );
}
