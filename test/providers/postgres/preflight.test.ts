import { afterEach, beforeEach, expect, test } from "vitest";

import { type Database, openDatabase, readOnly } from "../../../providers/postgres/database";
import { checkDatabase, type DatabaseFacts, judgeDatabase } from "../../../providers/postgres/preflight";
import { defaultUsersTable, type UsersTable } from "../../../providers/postgres/users-table";
import { loadSample } from "../../../sandbox/sample-users";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { type TestDatabase, testDatabase } from "../../database";

let own: TestDatabase;
let database: Database;
beforeEach(async () => {
  own = await testDatabase();
  await loadSample(own.url);
  database = openDatabase(own.url, 1);
});
afterEach(async () => {
  await database.end();
  await own.drop();
});

const check = async (table: UsersTable = defaultUsersTable) =>
  (await readOnly(database, (connection) => checkDatabase(connection, table))).filter(
    ({ status }) => status !== "ok",
  );

test("finds nothing wrong with the sample, and writes nothing", async () => {
  const before = await snapshotDatabase(own.url);
  expect(await check()).toEqual([]);
  expect(describeDifference(before, await snapshotDatabase(own.url))).toEqual([]);
});

test.each<[string, string, string]>([
  ["a missing link", "alter table users drop column clerk_user_id", "database/columns"],
  [
    "a link that is too short",
    "alter table users drop column clerk_user_id, add clerk_user_id varchar(20) unique",
    "database/types",
  ],
  [
    "a link of another type",
    "alter table users drop column clerk_user_id, add clerk_user_id uuid unique",
    "database/types",
  ],
  [
    "a link that is not unique",
    "alter table users drop constraint users_clerk_user_id_key",
    "database/unique-link",
  ],
  [
    "a digest in bytes",
    "alter table users alter password_hash type bytea using password_hash::bytea",
    "database/types",
  ],
  ["a time without a zone", "alter table users alter created_at type timestamp", "database/time-zone"],
  [
    "a trigger on updates",
    "create function noted() returns trigger language plpgsql as 'begin return new; end'; create trigger note before update on users for each row execute function noted()",
    "database/triggers",
  ],
  ["no key", "alter table users drop constraint users_pkey cascade", "database/key"],
  ["no table at all", "drop table users cascade", "database/table"],
  [
    "a view",
    "alter table users rename to people; create view users as select * from people",
    "database/table",
  ],
  [
    "a read-only database",
    "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
    "database/read-only",
  ],
])("names %s with a remedy", async (_, statements, expected) => {
  await database.query(statements);
  await database.end();
  database = openDatabase(own.url, 1);
  const findings = await check();
  expect(findings.map((finding) => finding.check)).toContain(expected);
  const found = findings.find((finding) => finding.check === expected);
  if (found?.status !== "note") expect(found?.remedy).not.toBe("");
});

test("says what a role that may only select would need for a run, in statements", async () => {
  await database.query(
    "create role preflight_reader login; grant select on all tables in schema public to preflight_reader",
  );
  const url = new URL(own.url);
  url.username = "preflight_reader";
  await database.end();
  database = openDatabase(url.href, 1);
  try {
    expect(await check()).toEqual([
      {
        check: "database/privileges",
        status: "problem",
        sentence: "The role preflight_reader may read for a preview at most: a run needs more.",
        remedy:
          'Grant it: `grant update ("clerk_user_id") on "users" to "preflight_reader"`; `grant create on database … to "preflight_reader"`, for the ledger\'s schema.',
      },
    ]);
  } finally {
    await database.end();
    database = openDatabase(own.url, 1);
    await database.query("drop owned by preflight_reader; drop role preflight_reader");
  }
});

const facts: DatabaseFacts = {
  version: 170_000,
  isReadOnly: false,
  user: "app",
  isEncrypted: false,
  isLocal: true,
  relation: { kind: "r", hidesRows: false },
  columns: [],
  updateTriggers: [],
  ledger: { exists: false, mayUse: true },
};

test.each<[string, Partial<DatabaseFacts>, string]>([
  ["a connection that is not encrypted and leaves the machine", { isLocal: false }, "database/tls"],
  ["an old server", { version: 110_000 }, "database/version"],
  ["rows that may be hidden", { relation: { kind: "r", hidesRows: true } }, "database/row-security"],
  ["a ledger that may not be used", { ledger: { exists: true, mayUse: false } }, "database/privileges"],
])("judges %s", (_, changes, expected) => {
  const findings = judgeDatabase({ ...facts, ...changes }, defaultUsersTable);
  expect(findings.find((finding) => finding.check === expected)?.status).not.toBe("ok");
  const sound = judgeDatabase(facts, defaultUsersTable).find((finding) => finding.check === expected);
  expect(sound?.status ?? "ok").toBe("ok");
});
