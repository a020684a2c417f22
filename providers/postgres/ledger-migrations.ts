import { randomBytes } from "node:crypto";

import { z } from "zod";

import type { MarkOwner } from "../clerk/user";
import { MigrationError, otherInstance } from "../errors";
import { type Connection, type Database, writing } from "./database";
import { ledgerTable } from "./ledger-tables";
import type { UsersTable } from "./users-table";

/** Who a process works for: a stack, in one migration, which is one link column that leads to one Clerk instance. */
export interface Owner extends MarkOwner {
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
}

/** What the ledger remembers of one migration. */
export interface LedgerMigration {
  readonly migrationId: string;
  /** `schema.table.column`; empty where an earlier version has not written it down. */
  readonly link: string;
  readonly clerkInstanceId: string;
  /** Every stack that has ever held somebody. */
  readonly stacks: readonly string[];
}

const migrationSchema = z
  .object({
    migration_id: z.string(),
    link: z.string(),
    clerk_instance_id: z.string(),
    stacks: z.array(z.string()),
  })
  .transform((row) => ({
    migrationId: row.migration_id,
    link: row.link,
    clerkInstanceId: row.clerk_instance_id,
    stacks: row.stacks,
  }));

export function newMigrationId(): string {
  return `m_${randomBytes(16).toString("hex")}`;
}

/** False of what stands for an id that is not made yet. */
export function isMigrationId(text: string): boolean {
  return text.startsWith("m_");
}

/** The link column as the ledger names it. A table without a schema is looked for where the database looks. */
export async function linkName(connection: Connection, table: UsersTable): Promise<string> {
  const { rows } = await connection.query(
    `select n.nspname || '.' || c.relname as name from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = pg_catalog.to_regclass($1)`,
    [
      table.name
        .split(".")
        .map((part) => `"${part}"`)
        .join("."),
    ],
  );
  const found = z.array(z.object({ name: z.string() })).parse(rows)[0];
  return `${found?.name ?? table.name}.${table.clerkUserId}`;
}

/** False where there is no ledger, or one of a version that knew no migrations. */
async function hasMigrations(connection: Connection): Promise<boolean> {
  const { rows } = await connection.query(
    "select to_regclass('clerk_migration.migrations') is not null as found",
  );
  return z.object({ found: z.boolean() }).parse(rows[0]).found;
}

/** All of this ledger; none without one. In a ledger of before migrations the instance stands for one. */
export async function readMigrations(connection: Connection): Promise<LedgerMigration[]> {
  const { rows } = (await hasMigrations(connection))
    ? await connection.query(
        "select migration_id, link, clerk_instance_id, stacks from clerk_migration.migrations order by created_at",
      )
    : await connection.query(
        `select migration_id, '' as link, clerk_instance_id, array_agg(distinct stack) as stacks
         from ${await ledgerTable(connection, "users")} as users group by migration_id, clerk_instance_id`,
      );
  return z.array(migrationSchema).parse(rows);
}

/** A stack that holds somebody, and in which migration. */
export interface Holder extends Pick<LedgerMigration, "migrationId" | "link" | "clerkInstanceId"> {
  readonly stack: string;
  readonly users: number;
}

const holderSchema = z.object({ migration_id: z.string(), stack: z.string(), users: z.number() });

/** Everybody who holds somebody in this ledger. */
export async function readHolders(connection: Connection): Promise<Holder[]> {
  const migrations = new Map(
    (await readMigrations(connection)).map((migration) => [migration.migrationId, migration]),
  );
  const { rows } = await connection.query(
    `select migration_id, stack, count(*)::integer as users
     from ${await ledgerTable(connection, "users")} as users
     where status in ('creating', 'linked', 'unlinking') group by 1, 2 order by 3 desc, 2`,
  );
  return z
    .array(holderSchema)
    .parse(rows)
    .map(({ migration_id, stack, users }) => ({
      migrationId: migration_id,
      link: migrations.get(migration_id)?.link ?? "",
      clerkInstanceId: migrations.get(migration_id)?.clerkInstanceId ?? "",
      ...{ stack, users },
    }));
}

/** That of this link column and instance. One whose column was never written down is taken for it. */
export function migrationOf(
  migrations: readonly LedgerMigration[],
  link: string,
  clerkInstanceId: string,
): LedgerMigration | undefined {
  const same = migrations.filter((migration) => migration.clerkInstanceId === clerkInstanceId);
  return same.find((migration) => migration.link === link) ?? same.find((migration) => migration.link === "");
}

/** Throws where a state's migration is known here as that of another instance. */
function refuseOtherInstance(
  migrations: readonly LedgerMigration[],
  { stack, clerkInstanceId, migrationId }: Pick<Owner, "stack" | "clerkInstanceId" | "migrationId">,
): void {
  const recorded = migrations.find((migration) => migration.migrationId === migrationId);
  if (recorded === undefined || recorded.clerkInstanceId === clerkInstanceId) return;
  throw otherInstance(`The stack ${stack}`, recorded.clerkInstanceId, clerkInstanceId);
}

/** For whom a resource was declared, as ledger and state say: the ledger's migration, where it knows one. Throws where they differ. */
export async function ownerOf(
  connection: Connection,
  { stack, clerkInstanceId, migrationId }: Pick<Owner, "stack" | "clerkInstanceId" | "migrationId">,
  link: string,
): Promise<Owner> {
  const all = await readMigrations(connection);
  refuseOtherInstance(all, { stack, clerkInstanceId, migrationId });
  const known = migrationOf(all, link, clerkInstanceId);
  const id = known?.migrationId ?? migrationId;
  if (migrationId !== "" && migrationId !== id) throw otherMigration(stack, migrationId, id);
  return { stack, clerkInstanceId, migrationId: id, stacks: new Set([...(known?.stacks ?? []), stack]) };
}

/**
 * Writes down that this stack takes part in the migration of this link column and instance, and makes it where there is none,
 * with this id. Throws where it exists with another one. Safe to repeat.
 */
export async function joinMigration(
  database: Database,
  declared: Pick<Owner, "stack" | "clerkInstanceId" | "migrationId">,
  link: string,
): Promise<Owner> {
  return writing(database, async (connection) => {
    await connection.query("lock table clerk_migration.migrations in share row exclusive mode");
    const found = await ownerOf(connection, declared, link);
    const owner = { ...found, migrationId: found.migrationId || newMigrationId() };
    await connection.query(
      `insert into clerk_migration.migrations (migration_id, link, clerk_instance_id, stacks) values ($1, $2, $3, $4)
       on conflict (migration_id) do update set link = excluded.link, stacks = excluded.stacks`,
      [owner.migrationId, link, owner.clerkInstanceId, [...owner.stacks]],
    );
    return owner;
  });
}

export function otherMigration(stack: string, recorded: string, found: string): MigrationError {
  return new MigrationError(
    "other-migration",
    `The state of the stack ${stack} belongs to the migration ${recorded}, but ${isMigrationId(found) ? `this database's ledger and table belong to ${found}` : "neither ledger nor table of this database know it"}: it is another database, or another stack's state.`,
    "Nothing was changed. Check DATABASE_URL and the selected stack. If the ledger was lost and nobody is left in Clerk, run destroy first.",
  );
}

/** Hands everybody whom one stack holds in this migration to another: bookkeeping after a renaming. */
export async function takeOverFrom(
  connection: Connection,
  { migrationId, stack }: Owner,
  former: string,
): Promise<void> {
  for (const table of ["users", "notifications", "retired_passwords"])
    await connection.query(
      `update clerk_migration.${table} set stack = $3, updated_at = now() where migration_id = $1 and stack = $2`,
      [migrationId, former, stack],
    );
}
