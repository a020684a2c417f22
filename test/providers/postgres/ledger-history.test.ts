import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type Connection, type Database, openDatabase, readOnly } from "../../../providers/postgres/database";
import { readLedger } from "../../../providers/postgres/ledger";
import { eventsBetween, eventsOfUser, numberedRuns } from "../../../providers/postgres/ledger-events";
import { ownerOf } from "../../../providers/postgres/ledger-migrations";
import { mailTimes } from "../../../providers/postgres/ledger-notifications";
import { purgeable } from "../../../providers/postgres/ledger-retired";
import { ensureLedger, pendingSteps, readLedgerVersion } from "../../../providers/postgres/ledger-steps";
import { ledgerColumns } from "../../../providers/postgres/ledger-tables";
import { type TestDatabase, testDatabase } from "../../database";

/** The ledger.sql of every commit that changed it before its steps were numbered, in their order. */
const folder = join(__dirname, "ledger-history");
const forms = readdirSync(folder)
  .sort()
  .map((file) => file.replace(".sql", ""));

const STACK = "p/dev";

let at: TestDatabase;
let database: Database;
beforeEach(async () => {
  at = await testDatabase();
  database = openDatabase(at.url, 4);
});
afterEach(async () => {
  await database.end();
  await at.drop();
});

/** A ledger as that commit made it, with a row of every status that it allows. */
async function load(form: string): Promise<void> {
  await runFile(form);
  for (const [table, statuses] of await allowedStatuses()) {
    for (const status of statuses) await insertRow(table, status);
  }
  await database.query(
    `insert into clerk_migration.runs (stack, clerk_instance_id, operator, planned, actual)
     values ($1, 'ins_1', 'ann', '{"create": 3}', '{"created": 3}')`,
    [STACK],
  );
}

async function runFile(form: string): Promise<void> {
  await database.query(readFileSync(join(folder, `${form}.sql`), "utf8"));
}

/** By table: what its check constraint on `status` lists. */
async function allowedStatuses(): Promise<[string, string[]][]> {
  const { rows } = await database.query<{ table: string; definition: string }>(
    `select class.relname as "table", pg_get_constraintdef(con.oid) as definition
     from pg_constraint con join pg_class class on class.oid = con.conrelid
     where con.connamespace = to_regnamespace('clerk_migration') and con.conname like '%_status_check'
     order by 1`,
  );
  return rows.map(({ table, definition }) => [
    table,
    [...definition.matchAll(/'([a-z_]+)'/g)].map(([, status = ""]) => status),
  ]);
}

async function insertRow(table: string, status: string): Promise<void> {
  const further: Readonly<Record<string, readonly [string, string]>> = {
    users: ["clerk_user_id, origin, passwords", `'user_${status}', 'created', 'carry'`],
    invitations: ["invitation_id, email_fingerprint, sent_at", `'inv_${status}', 'print', '2026-01-02'`],
    notifications: ["way, credential_id, sent_at", `'sign-in-link', 'sit_${status}', '2026-01-02'`],
    retired_passwords: ["key_id, sealed, retired_at", `'key', '\\x0102', '2026-01-02'`],
  };
  const [columns, values] = further[table] ?? [];
  if (columns === undefined || values === undefined) throw new Error(`No row is made up for ${table}.`);
  await database.query(
    `insert into clerk_migration.${table} (user_id, stack, clerk_instance_id, status, attempt, failure_code, ${columns})
     values ($1, $2, 'ins_1', $3, 2, 'code', ${values})`,
    [`of-${status}`, STACK, status],
  );
}

/** Everything that makes up the schema, by name, so that the order of columns does not count. */
async function catalogue(): Promise<Record<string, string>> {
  const { rows } = await database.query<{ name: string; definition: string }>(
    `select 'column ' || class.relname || '.' || attname as name,
       format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || attidentity::text || ' '
         || coalesce(pg_get_expr(adbin, adrelid), '') as definition
     from pg_attribute join pg_class class on class.oid = attrelid
     left join pg_attrdef on adrelid = attrelid and adnum = attnum
     where relnamespace = to_regnamespace('clerk_migration') and relkind = 'r' and attnum > 0 and not attisdropped
     union all
     select 'constraint ' || conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
     from pg_constraint where connamespace = to_regnamespace('clerk_migration')
     union all
     select 'index ' || indexname, indexdef from pg_indexes where schemaname = 'clerk_migration'
     union all
     select 'trigger ' || tgrelid::regclass || '.' || tgname, pg_get_triggerdef(pg_trigger.oid)
     from pg_trigger join pg_class class on class.oid = tgrelid
     where relnamespace = to_regnamespace('clerk_migration') and not tgisinternal
     union all
     select 'function ' || oid::regprocedure, pg_get_functiondef(oid)
     from pg_proc where pronamespace = to_regnamespace('clerk_migration')
     union all
     select relkind::text || ' ' || relname, coalesce(obj_description(oid, 'pg_class'), '')
     from pg_class where relnamespace = to_regnamespace('clerk_migration')
     union all
     select 'comment', coalesce(obj_description(to_regnamespace('clerk_migration'), 'pg_namespace'), '')
     order by 1`,
  );
  return Object.fromEntries(rows.map(({ name, definition }) => [name, definition]));
}

/** All that is read of it, as any command does. */
async function readAll() {
  const ownerNow = (connection: Connection) =>
    ownerOf(
      connection,
      { stack: STACK, clerkInstanceId: "ins_1", migrationId: "" },
      "public.users.clerk_user_id",
    );
  return readOnly(database, async (connection) => ({
    ledger: await readLedger(connection, await ownerNow(connection)),
    mails: await mailTimes(connection, "ins_1", new Date("2026-01-01")),
    runs: await numberedRuns(connection, STACK),
    events: (await eventsBetween(connection, STACK, new Date(0), null)).length,
    eventsOfOne: (await eventsOfUser(connection, "of-sent")).map(({ status }) => status),
    purgeable: await purgeable(connection, STACK, new Date()),
  }));
}

async function freshCatalogue(): Promise<Record<string, string>> {
  await ensureLedger(database);
  const fresh = await catalogue();
  await database.query("drop schema clerk_migration cascade");
  return fresh;
}

/** Every value of every row, the invitations as what they have become. */
async function rowsOf(table: string): Promise<Record<string, unknown>[]> {
  const { rows } = await database.query<{ row: Record<string, unknown> }>(
    `select to_jsonb(entry) as row from clerk_migration.${table} entry order by entry::text`,
  );
  return rows.map(({ row }) => row);
}

function asNotification({ invitation_id, ...row }: Record<string, unknown>): Record<string, unknown> {
  return { ...row, credential_id: invitation_id, number: 0, way: "invitation" };
}

async function keptRows(): Promise<Record<string, Record<string, unknown>[]>> {
  const { rows } = await database.query<{ name: string }>(
    "select relname as name from pg_class where relnamespace = to_regnamespace('clerk_migration') and relkind = 'r'",
  );
  const kept: Record<string, Record<string, unknown>[]> = {};
  for (const { name } of rows) {
    if (name === "steps") continue;
    if (name === "invitations") kept.notifications = (await rowsOf(name)).map(asNotification);
    else if (name === "events")
      kept.events = (await rowsOf(name)).map(({ subject, ...event }) => ({
        ...event,
        subject: subject === "invitations" ? "notifications" : subject,
      }));
    else kept[name] = await rowsOf(name);
  }
  return kept;
}

describe.each(forms)("a ledger as %s made it", (form) => {
  test("is read as it is, upgraded to the form of a new one with all its rows, and reads the same; again changes nothing", async () => {
    const fresh = await freshCatalogue();
    await load(form);
    const before = await readAll();
    const rows = await keptRows();
    expect(before.ledger.users.size).toBe(5);
    expect(before.ledger.notifications.size).toBeGreaterThanOrEqual(5);
    expect(before.runs).toHaveLength(1);

    // Two processes at once.
    const other = openDatabase(at.url, 1);
    await Promise.all([ensureLedger(database), ensureLedger(other)]);
    await other.end();

    for (let time = 1; time <= 2; time++) {
      expect(await catalogue()).toEqual(fresh);
      expect(await readAll()).toEqual(before);
      for (const [table, kept] of Object.entries(rows)) {
        const found = await rowsOf(table);
        expect(found).toHaveLength(kept.length);
        expect(found).toEqual(
          expect.arrayContaining(kept.map((row) => expect.objectContaining(row) as unknown)),
        );
      }
      await ensureLedger(database);
    }
    const { rows: steps } = await database.query("select step from clerk_migration.steps order by step");
    expect(steps.slice(0, 2)).toEqual([{ step: 0 }, { step: 1 }]);
  });
});

test("a ledger that each commit has gone over in turn keeps both its invitations and its later mails", async () => {
  const fresh = await freshCatalogue();
  const [first = "", ...later] = forms;
  await load(first);
  for (const form of later) await runFile(form);
  await database.query(
    `insert into clerk_migration.notifications (user_id, way, stack, clerk_instance_id, status)
     values ('of-sent', 'announcement', $1, 'ins_1', 'unknown'), ('later', 'sign-in-link', $1, 'ins_1', 'sent')`,
    [STACK],
  );
  const before = await readAll();
  const mails = before.ledger.notifications;
  expect(mails.get("of-sent")).toMatchObject({ way: "announcement", status: "unknown" });
  expect(mails.get("of-revoked")).toMatchObject({ way: "invitation", credentialId: "inv_revoked" });
  expect(mails.size).toBe(6);

  await ensureLedger(database);
  expect(await catalogue()).toEqual(fresh);
  expect(await readAll()).toEqual(before);
});

test("who has waited for somebody else to make the ledger sees that it is there", async () => {
  // One connection, which remembers that there was none.
  const waiter = openDatabase(at.url, 1);
  await waiter.query("select to_regnamespace('clerk_migration')");
  const first = await database.connect();
  await first.query("begin");
  await first.query("select pg_advisory_xact_lock(hashtextextended('clerk_migration:ledger', 0))");
  await first.query("create schema clerk_migration");

  const waiting = ensureLedger(waiter);
  await expect
    .poll(async () => {
      const { rows } = await database.query(
        "select 1 from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())",
      );
      return rows.length;
    })
    .toBe(1);
  await first.query("commit");
  first.release();
  await waiting;
  await waiter.end();
  expect((await readLedgerVersion(database)).at).toBeGreaterThan(0);
});

test("the events of a ledger that was upgraded go on", async () => {
  await load(forms[0] ?? "");
  await ensureLedger(database);
  await database.query(
    "update clerk_migration.notifications set status = 'rehearsed' where user_id = 'of-sent'",
  );
  const events = await eventsOfUser(database, "of-sent");
  expect(events.map(({ subject, status }) => [subject, status])).toEqual([
    ["notifications", "sent"],
    ["notifications", "rehearsed"],
  ]);
});

test("no function of the ledger depends on the search path of whoever runs it", async () => {
  await ensureLedger(database);
  const { rows } = await database.query<{ name: string; settings: string[] | null }>(
    "select proname as name, proconfig as settings from pg_proc where pronamespace = to_regnamespace('clerk_migration')",
  );
  expect(rows.length).toBeGreaterThan(0);
  for (const { name, settings } of rows)
    expect(
      settings?.some((setting) => setting.startsWith("search_path=")),
      name,
    ).toBe(true);
});

test("a new ledger has the columns that are read, and no other", async () => {
  await ensureLedger(database);
  for (const [table, columns] of Object.entries(ledgerColumns)) {
    const { rows } = await database.query<{ name: string }>(
      `select attname as name from pg_attribute
       where attrelid = to_regclass('clerk_migration.' || $1) and attnum > 0 and not attisdropped`,
      [table],
    );
    expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(columns).sort());
  }
});

describe("a newer ledger", () => {
  test("stops an older checkout, which writes nothing and says which step each is at", async () => {
    await ensureLedger(database);
    const { to } = await readLedgerVersion(database);
    await database.query("insert into clerk_migration.steps values (999, 'later', now(), 'somebody')");
    const sentence = `The ledger (schema clerk_migration) is at step 999, and this checkout knows steps up to ${to.toString()}. Use the newer checkout`;
    await expect(ensureLedger(database)).rejects.toThrow(sentence);
    await expect(
      readOnly(database, (connection) => readLedger(connection, { stack: STACK, migrationId: "m_1" })),
    ).rejects.toThrow(sentence);
    await expect(readOnly(database, readLedgerVersion)).rejects.toMatchObject({ code: "newer-ledger" });
    const { rows } = await database.query(
      "select max(step) as step from clerk_migration.steps where step < 999",
    );
    expect(rows).toEqual([{ step: to }]);
  });
});

describe("what is applied", () => {
  const step = (number: number) => ({ number, name: `step-${number.toString()}` });
  test("is what is missing, in order", () => {
    expect(pendingSteps([], [step(1), step(0)])).toEqual([step(0), step(1)]);
    expect(pendingSteps([step(0), step(2)], [step(2), step(1), step(0), step(3)])).toEqual([
      step(1),
      step(3),
    ]);
    expect(pendingSteps([step(0)], [step(0)])).toEqual([]);
  });
  test("is nothing where the ledger is ahead", () => {
    expect(() => pendingSteps([step(0), step(4)], [step(0), step(3)])).toThrow(
      "is at step 4, and this checkout knows steps up to 3",
    );
  });
});
