import { afterEach, beforeEach, expect, test } from "vitest";

import { connected } from "../../sandbox/postgres";
import { loadSample } from "../../sandbox/sample-users";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import type { TestDatabase } from "../database";
import { testDatabase } from "../database";

let database: TestDatabase;

beforeEach(async () => {
  database = await testDatabase();
  await loadSample(database.url);
});

afterEach(() => database.drop());

test("of the same contents is the same, whatever happened between and however the session prints", async () => {
  const before = await snapshotDatabase(database.url);
  await execute(`
    update users set clerk_user_id = 'user_x' where email = 'sarah.chen@example.com';
    update users set clerk_user_id = null where email = 'sarah.chen@example.com';
    do $$ begin
      execute format('alter database %I set timezone = ''Asia/Tokyo''', current_database());
      execute format('alter database %I set datestyle = ''German''', current_database());
    end $$;
  `);
  const after = await snapshotDatabase(database.url);
  expect(after).toEqual(before);
  expect(describeDifference(before, after)).toEqual([]);
  expect(Object.keys(before.tables)).toEqual(["public.chat_sessions", "public.prompts", "public.users"]);
  expect(before.tables["public.users"]?.rows).toBe(44);
});

test.each([
  [
    "columns that changed",
    "update users set clerk_user_id = 'user_x', password_hash = null where email = 'sarah.chen@example.com'",
    ["Table public.users differs in: clerk_user_id, password_hash."],
  ],
  [
    "values that moved from one row to another",
    "update chat_sessions set title = case title when 'Sourdough' then 'Rent or buy' else 'Sourdough' end where title in ('Sourdough', 'Rent or buy')",
    ["Table public.chat_sessions differs in: title."],
  ],
  [
    "null that became empty",
    "update users set name = '' where name is null",
    ["Table public.users differs in: name."],
  ],
  [
    "rows that are gone",
    "delete from prompts where body = 'Less formal, please.'",
    [expect.stringMatching(/^Table public\.prompts has 1\d\d rows; it had 174\.$/)],
  ],
  [
    "tables that are new, in any schema",
    "create schema other; create table other.t (a int)",
    ["Table other.t is new."],
  ],
  ["tables that are gone", "drop table prompts", ["Table public.prompts is gone."]],
  [
    "columns that are new or of another type",
    "alter table users add column phone text, alter column name type varchar(200)",
    ["Table public.users has new columns: phone.", "Table public.users differs in: name."],
  ],
  [
    "columns that are gone",
    "alter table users drop column name",
    ["Table public.users has lost columns: name."],
  ],
  [
    "nothing about the ledger",
    "create schema clerk_migration; create table clerk_migration.users (a int)",
    [],
  ],
])("tells of %s", async (_, change, sentences) => {
  const before = await snapshotDatabase(database.url);
  await execute(change);
  expect(describeDifference(before, await snapshotDatabase(database.url))).toEqual(sentences);
});

test("covers tables without a primary key, with odd names, and with no rows", async () => {
  await execute(
    `create table "Odd ""Name" (a int, "b c" bytea); create table parts (a int, b int, primary key (b, a))`,
  );
  const empty = await snapshotDatabase(database.url);
  await execute(
    `insert into "Odd ""Name" values (1, '\\x00'), (1, '\\x00'), (2, null); insert into parts values (1, 2)`,
  );
  expect(describeDifference(empty, await snapshotDatabase(database.url))).toEqual([
    'Table public.Odd "Name has 3 rows; it had 0.',
    "Table public.parts has 1 rows; it had 0.",
  ]);
});

async function execute(sql: string): Promise<void> {
  await connected(database.url, (client) => client.query(sql));
}
