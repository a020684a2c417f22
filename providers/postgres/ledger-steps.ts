import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { escapeIdentifier } from "pg";
import { z } from "zod";

import { MigrationError } from "../errors";
import { applicationName, type Connection, type Database, explainAndThrow, writing } from "./database";
import { missingTables } from "./ledger-tables";

/** One change of the ledger's schema: `ledger/<number>-<name>.sql`. A file that has been applied never changes. */
export interface Step {
  readonly number: number;
  readonly name: string;
}

/** Where the ledger stands, and where this checkout brings it. */
export interface LedgerVersion {
  /** undefined where there is no ledger, or one of before its steps were numbered. */
  readonly at: number | undefined;
  readonly to: number;
}

const FOLDER = join(__dirname, "ledger");

/**
 * Makes the ledger, or brings it to this checkout's form: what is missing is applied in one transaction. Safe to
 * repeat, and from several processes at once. Refuses a newer ledger, and a schema of somebody else's.
 */
export async function ensureLedger(database: Database): Promise<void> {
  const known = await knownSteps();
  const foreign = await foreignOwner(database).catch(explainAndThrow);
  if (foreign !== undefined) throw foreignLedger(foreign);
  if (pendingSteps(await appliedSteps(database).catch(explainAndThrow), known).length === 0) {
    await refusePartial(database).catch(explainAndThrow);
    return;
  }
  const stranger = await tablesOwner(database).catch(explainAndThrow);
  if (stranger !== undefined) throw othersTables(await readLedgerVersion(database), stranger);
  await writing(database, async (connection) => {
    await connection.query("set local search_path = pg_catalog, pg_temp");
    await connection.query("select pg_advisory_xact_lock(hashtextextended('clerk_migration:ledger', 0))");
    if (!(await hasSchema(connection))) await connection.query("create schema clerk_migration");
    await connection.query(
      `create table if not exists clerk_migration.steps (
         step integer primary key,
         name text not null,
         applied_at timestamptz not null default now(),
         applied_by text not null
       )`,
    );
    for (const step of pendingSteps(await appliedSteps(connection), known)) {
      await connection.query(await readFile(join(FOLDER, fileOf(step)), "utf8"));
      await connection.query(
        "insert into clerk_migration.steps (step, name, applied_by) values ($1, $2, $3)",
        [step.number, step.name, applicationName],
      );
    }
    await refusePartial(connection);
  });
}

/** Brings a ledger that is there to this checkout's form. Makes none. */
export async function upgradeLedger(database: Database): Promise<void> {
  if (await hasLedger(database)) await ensureLedger(database);
}

/** Where the ledger stands, without writing. Refuses a newer one. */
export async function readLedgerVersion(connection: Connection): Promise<LedgerVersion> {
  const [applied, known] = [await appliedSteps(connection), await knownSteps()];
  // What is pending may be what makes a table.
  if (pendingSteps(applied, known).length === 0) await refusePartial(connection);
  return { at: latest(applied), to: latest(known) ?? 0 };
}

/** A ledger that says it is complete, and is not, would be read as one that knows nobody. */
async function refusePartial(connection: Connection): Promise<void> {
  const missing = await missingTables(connection);
  if (missing.length === 0) return;
  throw new MigrationError(
    "partial-ledger",
    `Part of the ledger (schema clerk_migration) is gone: ${missing.join(", ")}.`,
    "Restore the whole schema from its newest backup. Without one, rename what is left (`alter schema clerk_migration rename to clerk_migration_rest`) and run `npm run up`: it makes the ledger anew and takes up whom links and marks name. Sealed password hashes stay in what is left.",
  );
}

/** Refuses a database without a ledger, a newer one, and one that is there in part. */
export async function expectLedger(connection: Connection, stack: string): Promise<void> {
  const { at } = await readLedgerVersion(connection);
  if (at !== undefined || !(await isEmpty(connection))) return;
  throw new MigrationError(
    "no-ledger",
    `There is no ledger in this database (schema clerk_migration), so nothing is known here of ${stack}.`,
    "Either nobody was migrated yet, or DATABASE_URL leads to another database, or the schema was dropped: then restore it from its newest backup, or run `npm run up`, which makes it anew and takes up whom links and marks name.",
  );
}

/** Not even one of before its steps were numbered. */
async function isEmpty(connection: Connection): Promise<boolean> {
  return (await missingTables(connection)).includes("users");
}

/** `create schema if not exists` asks for the right to create one even where it is there. */
async function hasSchema(connection: Connection): Promise<boolean> {
  const { rows } = await connection.query("select from pg_namespace where nspname = 'clerk_migration'");
  return rows.length > 0;
}

export async function hasLedger(connection: Connection): Promise<boolean> {
  return hasTable(connection, "events");
}

/** Asks the catalogue's tables: `to_regclass` may answer from a cache of before the lock was taken. */
async function hasTable(connection: Connection, name: string): Promise<boolean> {
  const { rows } = await connection.query(
    `select from pg_class class join pg_namespace schema on schema.oid = class.relnamespace
     where schema.nspname = 'clerk_migration' and class.relname = $1`,
    [name],
  );
  return rows.length > 0;
}

/** What is to be applied, in order. Throws where the ledger is ahead of this checkout, which could not read it rightly. */
export function pendingSteps(applied: readonly Step[], known: readonly Step[]): Step[] {
  const at = latest(applied);
  const to = latest(known);
  if (at !== undefined && at > (to ?? -1)) {
    throw new MigrationError(
      "newer-ledger",
      `The ledger (schema clerk_migration) is at step ${at.toString()}, and this checkout knows ${to === undefined ? "none" : `steps up to ${to.toString()}`}.`,
      "Use the newer checkout, with which the ledger was last written.",
    );
  }
  const done = new Set(applied.map(({ number }) => number));
  return known.filter(({ number }) => !done.has(number)).sort((a, b) => a.number - b.number);
}

function latest(steps: readonly Step[]): number | undefined {
  return steps.length === 0 ? undefined : Math.max(...steps.map(({ number }) => number));
}

/** The steps of this checkout: a new one is a new file. */
async function knownSteps(): Promise<Step[]> {
  return (await readdir(FOLDER)).flatMap((file) => {
    const [, number, name] = /^(\d{3})-(.+)\.sql$/.exec(file) ?? [];
    return number === undefined || name === undefined ? [] : [{ number: Number(number), name }];
  });
}

function fileOf({ number, name }: Step): string {
  return `${number.toString().padStart(3, "0")}-${name}.sql`;
}

async function appliedSteps(connection: Connection): Promise<Step[]> {
  if (!(await hasTable(connection, "steps"))) return [];
  const { rows } = await connection.query("select step as number, name from clerk_migration.steps");
  return z.array(z.object({ number: z.number(), name: z.string() })).parse(rows);
}

/** A role that schema or tables belong to, and the one that we are. */
interface ForeignOwner {
  readonly owner: string;
  readonly user: string;
}

/**
 * Whose the schema is, where it is neither ours nor a superuser's: triggers in it would run with our rights. A superuser
 * is not taken for a member of every role.
 */
export async function foreignOwner(connection: Connection): Promise<ForeignOwner | undefined> {
  const { rows } = await connection.query(
    `with recursive ours (role) as (
       select oid from pg_roles where rolname = current_user
       union
       select granted.roleid from pg_auth_members granted join ours on granted.member = ours.role
     )
     select owner.rolname as owner, current_user as "user"
     from pg_namespace schema join pg_roles owner on owner.oid = schema.nspowner
     where schema.nspname = 'clerk_migration' and not owner.rolsuper
       and owner.oid not in (select role from ours)`,
  );
  return z.array(z.object({ owner: z.string(), user: z.string() })).parse(rows)[0];
}

export function foreignLedger({ owner, user }: ForeignOwner): MigrationError {
  return new MigrationError(
    "foreign-ledger",
    `The schema clerk_migration belongs to ${owner}: what is in it may be anything, and would run with the rights of ${user}.`,
    `Connect as ${owner}; or look into it, and where all of it is the ledger, run \`alter schema clerk_migration owner to ${escapeIdentifier(user)}\`.`,
  );
}

/** Whose tables are there, where they are not ours to change: grants let us use them, and not bring them to another form. */
export async function tablesOwner(connection: Connection): Promise<ForeignOwner | undefined> {
  const { rows } = await connection.query(
    `select pg_get_userbyid(relowner) as owner, current_user as "user" from pg_class
     where relnamespace = (select oid from pg_namespace where nspname = 'clerk_migration') and relkind = 'r' and not pg_has_role(relowner, 'usage')
     limit 1`,
  );
  return z.array(z.object({ owner: z.string(), user: z.string() })).parse(rows)[0];
}

export function othersTables(version: LedgerVersion, { owner, user }: ForeignOwner): MigrationError {
  return new MigrationError(
    "ledger-owner",
    `The ledger (schema clerk_migration) ${standing(version)}, and ${user} may not bring it to step ${version.to.toString()}, because ${owner} owns its tables; a preview works.`,
    `Run \`grant ${escapeIdentifier(owner)} to ${escapeIdentifier(user)}\`, or one \`up\` as ${owner}.`,
  );
}

/** The predicate of a sentence about the ledger. */
export function standing({ at }: LedgerVersion): string {
  return at === undefined ? "is of before its steps were numbered" : `is at step ${at.toString()}`;
}
