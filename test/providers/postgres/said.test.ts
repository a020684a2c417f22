import { afterAll, beforeAll, expect, test } from "vitest";

import { messageOf, MigrationError } from "../../../providers/errors";
import { type Database, openDatabase, writing } from "../../../providers/postgres/database";
import { runCommand } from "../../commands/run-command";
import { openTestSystems, type TestSystems } from "../../systems";

let on: TestSystems;
let database: Database;
beforeAll(async () => {
  on = await openTestSystems();
  database = openDatabase(on.database.url, 1);
});
afterAll(async () => {
  await database.end();
  await on.close();
});

const raising = (code: string) =>
  `do $$ declare digest text; begin
     select password_hash into digest from users where password_hash is not null limit 1;
     raise exception 'refused %', digest using errcode = '${code}', detail = digest, hint = digest;
   end $$`;

test.each([
  ["a cast over the column of hashes", "select password_hash::integer from users", "22P02"],
  [
    "a copy that is not unique",
    "create temporary table copy (hash text unique); insert into copy select 'secret$2b$' from users",
    "23505",
  ],
  ["an exception of the application's", raising("P0001"), "P0001"],
  ["one that goes by the SQLSTATE of a missing privilege", raising("42501"), "42501"],
  ["one that goes by the SQLSTATE of a missing column", raising("42703"), "42703"],
  [
    "SQL that the application makes of a value",
    `do $$ begin execute (select 'select ' || quote_ident(password_hash) from users where password_hash is not null limit 1); end $$`,
    "42703",
  ],
])("%s says its SQLSTATE, and no value of a row", async (_what, sql, code) => {
  const error: unknown = await writing(database, (connection) => connection.query(sql)).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(MigrationError);
  expect(messageOf(error)).toContain(code);
  expect(messageOf(error)).not.toContain("$2");
});

test("names that are missing are told in Postgres' own words", async () => {
  await expect(
    writing(database, (connection) => connection.query("select nothing from users")),
  ).rejects.toThrow('column "nothing" does not exist, SQLSTATE 42703');
});

test.each(["plan", "doctor", "verify"])("%s quotes no hash where a view fails over one", async (name) => {
  await on.query(`create or replace view casting as
    select user_id, email, name, clerk_user_id, created_at, password_hash::integer::text as password_hash from users`);
  const { exitCode, output } = await runCommand(on, name, [], { config: { usersTable: "casting" } });
  expect(exitCode).not.toBe(0);
  expect(output).toContain("SQLSTATE 22P02");
  expect(output).not.toContain("$2");
});
