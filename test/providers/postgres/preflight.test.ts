import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Client, escapeIdentifier } from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Finding } from "../../../providers/findings";
import type { ServerFacts } from "../../../providers/postgres/catalogue";
import { openDatabase, readOnly } from "../../../providers/postgres/database";
import { readLedger } from "../../../providers/postgres/ledger";
import { ensureLedger, readLedgerVersion } from "../../../providers/postgres/ledger-steps";
import { checkCondition, checkDatabase } from "../../../providers/postgres/preflight";
import { databaseChecks } from "../../../providers/postgres/preflight-findings";
import { judgeTls, judgeVersion, judgeWritable } from "../../../providers/postgres/preflight-server";
import { defaultUsersTable, type UsersTable } from "../../../providers/postgres/users-table";
import { connected } from "../../../sandbox/postgres";
import { loadSample } from "../../../sandbox/sample-users";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { type TestDatabase, testDatabase } from "../../database";

/** Of this file alone: roles belong to the server, which other tests use as well. Its name has to be quoted. */
const role = `Visitor_${randomBytes(4).toString("hex")}`;
const quoted = escapeIdentifier(role);

let at: TestDatabase;
beforeEach(async () => {
  at = await testDatabase();
});
afterEach(() => at.drop());

async function sql(statements: string): Promise<void> {
  await connected(at.url, (client) => client.query(statements));
}

async function checked(table: Partial<UsersTable> = {}, url = at.url, retires = false): Promise<Finding[]> {
  const database = openDatabase(url, 1);
  try {
    return await readOnly(database, (connection) =>
      checkDatabase(connection, { ...defaultUsersTable, ...table }, url, retires),
    );
  } finally {
    await database.end();
  }
}

function found(findings: readonly Finding[], check: string): Finding[] {
  return findings.filter((finding) => finding.check === `database/${check}`);
}

/** What asks for something, or cannot be found out. */
function troubles(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ status }) => status === "problem" || status === "unknown")
    .map(({ check }) => check.replace("database/", ""));
}

/** The statements of a remedy, as an administrator would run them. */
async function obey({ remedy }: Finding): Promise<void> {
  const [, statements = ""] = /`([^`]+)`/.exec(remedy) ?? [];
  // One at a time: `concurrently` takes no company.
  for (const statement of statements.split("; ")) await sql(statement);
}

describe("a table as it should be", () => {
  test("the sample gives no problem, and every check speaks", async () => {
    await loadSample(at.url);
    const findings = await checked({}, at.url, true);
    expect(findings.filter(({ status }) => status !== "ok")).toEqual([]);
    expect(findings.map(({ check }) => check)).toEqual(
      databaseChecks
        .filter((check) => check !== "condition" && check !== "link-check")
        .map((check) => `database/${check}`),
    );
  });

  test("writes nothing", async () => {
    await loadSample(at.url);
    const before = await snapshotDatabase(at.url);
    await checked();
    await connected(at.url, async (client) => {
      await client.query("begin");
      await checkCondition(client, defaultUsersTable, "u.name is not null");
      await client.query("commit");
    });
    expect(describeDifference(before, await snapshotDatabase(at.url))).toEqual([]);
  });

  test("finds a table in another schema, under odd names, by its qualified name", async () => {
    await sql(`create schema "My App"; create table "My App"."User" (
      "Id" int primary key, mail varchar(200), hash text, "clerkId" varchar(32) unique, born date)`);
    const table = {
      name: "My App.User",
      userId: "Id",
      email: "mail",
      passwordHash: "hash",
      clerkUserId: "clerkId",
      fullName: null,
      createdAt: "born",
    };
    const findings = await checked(table);
    expect(troubles(findings)).toEqual([]);
    expect(found(findings, "types")).toEqual([
      expect.objectContaining({ status: "note", sentence: "born is date: it is taken as midnight UTC." }),
    ]);
  });

  test("looks below domains, and takes an index that leaves out nulls", async () => {
    await sql(`create domain short as varchar(20); create domain address as text; create domain own as address;
      create table users (user_id bigint primary key, email own, password_hash text, clerk_user_id short,
        name text, created_at timestamptz);
      create unique index on users (clerk_user_id) where clerk_user_id is not null`);
    const findings = await checked();
    expect(troubles(findings)).toEqual(["types"]);
    expect(found(findings, "types")[0]?.sentence).toBe(
      "clerk_user_id is short; it should be text: Clerk's ids look like user_2abcdefghijklmnopqrstuvwxyzA, 32 characters.",
    );
  });
});

const columns = {
  user_id: "uuid primary key",
  email: "text",
  password_hash: "text",
  clerk_user_id: "text unique",
  name: "text",
  created_at: "timestamptz",
};

/** A table like the sample's but for some columns; null leaves one out. */
async function createUsers(changed: Readonly<Record<string, string | null>> = {}, rest = ""): Promise<void> {
  const definitions = Object.entries<string | null>({ ...columns, ...changed })
    .filter(([, type]) => type !== null)
    .map(([name, type]) => `${escapeIdentifier(name)} ${type ?? ""}`);
  await sql(`create table users (${definitions.join(", ")})${rest}`);
}

describe("the table", () => {
  test("names a table that is missing, and leaves out what would be asked of it", async () => {
    const findings = await checked();
    expect(troubles(findings)).toEqual(["table"]);
    expect(found(findings, "table")[0]?.sentence).toMatch(
      /^The database \S+ has no table users, so nobody can be migrated\.$/,
    );
    expect(found(findings, "columns")).toEqual([]);
  });

  test("names those that are called alike in other schemas and in other case, never the ledger's", async () => {
    const database = openDatabase(at.url, 1);
    await ensureLedger(database);
    await database.end();
    await sql(`create schema app; create table app.users (); create table "Users" ()`);
    expect(found(await checked(), "table")[0]).toMatchObject({
      sentence: expect.stringContaining("but it has app.users and public.Users.") as string,
      remedy: "Name it like that in the settings.",
    });
  });

  test.each(["a.b.users", "", ".", "app.users", `"`])(
    "refuses the name %j without a failed query",
    async (name) => {
      expect(troubles(await checked({ name }))).toEqual(["table"]);
    },
  );

  test("takes a view that can be updated, and looks at the table below it", async () => {
    await createUsers({ id: "int", password_hash: "bytea" });
    await sql(`alter table users rename to people; create view users as
      select user_id, email, convert_from(password_hash, 'UTF8') as password_hash, clerk_user_id, name, created_at from people`);
    const findings = await checked();
    expect(troubles(findings)).toEqual(["user-id"]);
    expect(found(findings, "table")[0]?.status).toBe("note");
    expect(found(findings, "user-id")[0]?.status).toBe("unknown");
    expect(found(findings, "triggers")[0]?.status).toBe("ok");
  });

  test("finds triggers, constraints and row-level security below views over views and partitions", async () => {
    await sql(`create table people (user_id int, email text, password_hash text, clerk_user_id text, name text,
        created_at timestamptz, constraint short check (length(clerk_user_id) < 9)) partition by range (user_id);
      create table people_1 partition of people for values from (0) to (9);
      create function audit() returns trigger language plpgsql as 'begin return new; end';
      create trigger below after update of name on people_1 for each row execute function audit();
      alter table people enable row level security;
      create view active as select * from people where name is not null;
      create view users as select * from active where email is not null`);
    const findings = await checked();
    expect(found(findings, "triggers")).toMatchObject([
      { status: "note", sentence: expect.stringContaining("below (audit, on people)") as string },
    ]);
    expect(found(findings, "link-column")).toMatchObject([
      { status: "note", sentence: expect.stringContaining("short") as string },
      { status: "note", sentence: expect.stringContaining("No unique index") as string },
    ]);
    expect(found(findings, "row-security")).toMatchObject([
      { status: "unknown", sentence: expect.stringContaining("is on for people") as string },
    ]);
  });

  test("never says ok of what is below a view and could not be looked at", async () => {
    await sql(`create table people (id int, mail text, hash text, link text, name text, born timestamptz);
      create materialized view copies as select * from people;
      create view users as select id as user_id, mail as email, hash as password_hash, link as clerk_user_id,
        name, born as created_at from people where id in (select id from copies)`);
    const findings = await checked();
    expect(found(findings, "triggers")[0]?.status).toBe("unknown");
    expect(found(findings, "link-column")[0]?.status).toBe("unknown");
  });

  test("refuses a view that cannot be updated", async () => {
    await createUsers();
    await sql("alter table users rename to people; create view users as select distinct * from people");
    expect(found(await checked(), "table")[0]).toMatchObject({
      status: "problem",
      sentence: "users is a view in which clerk_user_id cannot be updated, so nobody can be linked.",
    });
  });

  test("refuses a materialized view", async () => {
    await createUsers();
    await sql("alter table users rename to people; create materialized view users as select * from people");
    expect(found(await checked(), "table")[0]?.status).toBe("problem");
  });

  test("takes a partitioned table, with the triggers of its partitions", async () => {
    await createUsers({ clerk_user_id: "text" }, " partition by hash (user_id)");
    await sql(`create table part partition of users for values with (modulus 1, remainder 0);
      create function touch() returns trigger language plpgsql as 'begin return new; end';
      create trigger touch_part before update on part for each row execute function touch()`);
    const findings = await checked();
    expect(troubles(findings)).toEqual([]);
    expect(found(findings, "table")[0]?.status).toBe("note");
    expect(found(findings, "triggers")[0]?.sentence).toContain("touch_part (touch)");
    expect(found(findings, "link-column")[0]).toMatchObject({ status: "note", remedy: "" });
  });
});

describe("the columns", () => {
  test("lists all that are missing together, with names that come close", async () => {
    await createUsers({
      user_id: null,
      password_hash: null,
      id: "int primary key",
      encrypted_password: "text",
    });
    const findings = await checked();
    expect(troubles(findings)).toEqual(["columns"]);
    expect(found(findings, "columns")[0]).toMatchObject({
      sentence: "users lacks 2 columns: user_id and password_hash.",
      remedy:
        "Perhaps it has id for user_id and encrypted_password for password_hash: then correct the settings.",
    });
  });

  test("adds the link column by the statement of its remedy", async () => {
    await createUsers({ clerk_user_id: null });
    const findings = await checked();
    expect(troubles(findings)).toEqual(["columns"]);
    const [missing] = found(findings, "columns");
    expect(missing?.sentence).toBe("users lacks the column clerk_user_id.");
    expect(missing?.remedy).toBe(`Run \`alter table "users" add column "clerk_user_id" text unique\`.`);
    if (missing !== undefined) await obey(missing);
    expect((await checked()).filter(({ status }) => status !== "ok")).toEqual([]);
  });

  test("says when only another name can be the cause", async () => {
    await createUsers();
    expect(found(await checked({ username: "handle" }), "columns")[0]).toMatchObject({
      sentence: "users lacks the column handle.",
      remedy: "Correct the names in the settings.",
    });
  });
});

describe("the types", () => {
  const meta = { publicMetadata: "meta" };
  test.each<[string, Readonly<Record<string, string>>, Partial<UsersTable>, string]>([
    ["an address that is no text", { email: "int" }, {}, "email is integer; it should be text."],
    ["a hash in bytes", { password_hash: "bytea" }, {}, "password_hash is bytea; it should be text, such as"],
    ["a link column of uuids", { clerk_user_id: "uuid unique" }, {}, "clerk_user_id is uuid; it should be"],
    ["a short link column", { clerk_user_id: "varchar(31) unique" }, {}, "is character varying(31); it"],
    [
      "a date of creation as text",
      { created_at: "text" },
      {},
      "created_at is text; it should be a timestamp.",
    ],
    ["a date of creation as a number", { created_at: "bigint" }, {}, "created_at is bigint; it should be"],
    [
      "a telephone number as a number",
      { tel: "bigint" },
      { phoneNumber: "tel" },
      "tel is bigint; it should be",
    ],
    ["metadata in an array", { meta: "text[]" }, meta, "meta is text[]; it should be jsonb, json or text"],
    [
      "a flag as text",
      { out: "text" },
      { banned: "out" },
      "out is text; it should be a boolean, a timestamp",
    ],
  ])("refuses %s", async (_, changed, table, sentence) => {
    await createUsers(changed);
    const findings = await checked(table);
    expect(troubles(findings)).toEqual(["types"]);
    expect(found(findings, "types")[0]?.sentence).toContain(sentence);
    expect(found(findings, "types")[0]?.remedy).not.toBe("");
  });

  test.each<[string, Readonly<Record<string, string>>, Partial<UsersTable>]>([
    ["link column of uuids", { clerk_user_id: "uuid unique" }, {}],
    ["short link column", { clerk_user_id: "varchar(10) unique" }, {}],
    ["hash in bytes", { password_hash: "bytea" }, {}],
    ["date of creation as text", { created_at: "text" }, {}],
  ])("mends a %s by the statement of its remedy", async (_, changed, table) => {
    await createUsers(changed);
    const [unfit] = found(await checked(table), "types");
    if (unfit !== undefined) await obey(unfit);
    expect(troubles(await checked(table))).toEqual([]);
  });

  test("says that a timestamp without a zone is taken as UTC", async () => {
    await createUsers({ created_at: "timestamp(3)" });
    expect(found(await checked(), "types")).toEqual([
      {
        check: "database/types",
        status: "note",
        sentence: "created_at is timestamp(3) without time zone: it is taken as UTC.",
        remedy: "",
      },
    ]);
  });

  test("takes flags that are booleans, times and numbers, and metadata that is JSON or text", async () => {
    await createUsers({ a: "boolean", b: "timestamp", c: "smallint", d: "json", e: "text" });
    const table = {
      banned: "a",
      deleted: "b",
      emailVerified: "c",
      publicMetadata: "d",
      privateMetadata: "e",
    };
    expect(found(await checked(table), "types")).toMatchObject([
      { status: "note", sentence: expect.stringMatching(/^b is timestamp.* deleted from then on/) as string },
    ]);
  });

  test("says how a time in the column of bans is read, by its name", async () => {
    await createUsers({ banned_until: "timestamptz", banned_at: "timestamptz" });
    for (const [banned, meaning] of [
      ["banned_until", "banned until then"],
      ["banned_at", "banned from then on"],
    ] as const)
      expect(found(await checked({ banned }), "types")[0]?.sentence).toContain(meaning);
  });
});

describe("the keys", () => {
  test("refuses a user_id that no unique index covers, and names the primary key", async () => {
    await createUsers({ user_id: "uuid not null", id: "int primary key" });
    await sql(
      "create unique index on users (user_id) where email is not null; create unique index on users (user_id, email)",
    );
    const findings = await checked();
    expect(troubles(findings)).toEqual(["user-id"]);
    const [key] = found(findings, "user-id");
    expect(key?.sentence).toBe(
      "No unique index covers user_id, so two rows could be one user. The primary key is id.",
    );
    if (key !== undefined) await obey(key);
    expect(troubles(await checked())).toEqual([]);
  });

  test("notes a user_id that may be null", async () => {
    await createUsers({ user_id: "uuid unique" });
    expect(found(await checked(), "user-id")[0]?.status).toBe("note");
  });

  test("notes a link column without a unique index, with the statement that makes one", async () => {
    await createUsers({ clerk_user_id: "text" });
    await sql("create unique index on users (lower(clerk_user_id))");
    const [link] = found(await checked(), "link-column");
    expect(link).toMatchObject({
      status: "note",
      remedy: `Run \`create unique index concurrently on "users" ("clerk_user_id")\`.`,
    });
    if (link !== undefined) await obey(link);
    expect(found(await checked(), "link-column")[0]?.status).toBe("ok");
  });

  test("tells of an index that could not be built", async () => {
    await createUsers({ clerk_user_id: "text" });
    await sql(
      "insert into users (user_id, clerk_user_id) select gen_random_uuid(), 'user_1' from generate_series(1, 2)",
    );
    await sql("create unique index concurrently on users (clerk_user_id)").catch(() => undefined);
    const [link] = found(await checked(), "link-column");
    expect(link?.remedy).toContain("the index users_clerk_user_id_idx is there, but could not be built");
    await sql("delete from users");
    if (link !== undefined) await obey(link);
    expect(found(await checked(), "link-column")[0]?.status).toBe("ok");
  });

  test.each([
    ["may not be null", "text unique not null default ''", "may not be null"],
    ["is generated", "text unique generated always as (email) stored", "is a generated column"],
    ["refers to another table", "text unique references known (id)", "refers to another table"],
  ])(
    "refuses a link column that %s, and mends it by the statement of its remedy",
    async (_, type, sentence) => {
      await sql("create table known (id text primary key)");
      await createUsers({ clerk_user_id: type });
      const findings = await checked();
      expect(troubles(findings)).toEqual(["link-column"]);
      const [link] = found(findings, "link-column");
      expect(link?.sentence).toContain(sentence);
      if (link !== undefined) await obey(link);
      expect(troubles(await checked())).toEqual([]);
    },
  );

  test("notes a constraint on the link column", async () => {
    await createUsers({ clerk_user_id: "text unique check (clerk_user_id like 'user%')" });
    expect(found(await checked(), "link-column")[0]).toMatchObject({
      status: "note",
      sentence:
        "A constraint looks at clerk_user_id (users_clerk_user_id_check: CHECK ((clerk_user_id ~~ 'user%'::text))).",
    });
  });
});

test("names the triggers that a link fires, and no other", async () => {
  await createUsers();
  await sql(`create function touch() returns trigger language plpgsql as 'begin return new; end';
    create trigger on_update before update on users for each row execute function touch();
    create trigger on_link after insert or update of name, clerk_user_id on users execute function touch();
    create trigger on_name after update of name on users for each row execute function touch();
    create trigger on_insert after insert on users for each row execute function touch();
    create trigger switched_off after update on users for each row execute function touch();
    alter table users disable trigger switched_off`);
  expect(found(await checked(), "triggers")).toEqual([
    expect.objectContaining({
      status: "note",
      sentence:
        "2 triggers run once for each user who is linked, and once more at a rollback: on_link (touch) and on_update (touch).",
    }),
  ]);
});

describe("a database user with few rights", () => {
  let visitor: string;
  beforeEach(async () => {
    await loadSample(at.url);
    await sql(`create role ${quoted} login password 's3cret'`);
    const url = new URL(at.url);
    url.username = role;
    url.password = "s3cret";
    visitor = url.href;
  });
  afterEach(() => sql(`drop owned by ${quoted}; drop role ${quoted}`));

  /** Runs every remedy that is a grant, until none is asked for. */
  async function grantAll(): Promise<void> {
    const problems = (await checked({}, visitor)).filter(({ status }) => status === "problem");
    for (const problem of problems) await obey(problem);
  }

  test("who may do nothing is told every grant; with these, nothing is left to ask", async () => {
    expect(troubles(await checked({}, visitor))).toEqual(["select", "update", "ledger"]);
    await grantAll();
    expect(troubles(await checked({}, visitor))).toEqual([]);
    const database = openDatabase(visitor, 1);
    await ensureLedger(database);
    await database.query(
      "update users set clerk_user_id = 'user_x' where user_id = (select user_id from users limit 1)",
    );
    await database.end();
  });

  test("who may only select lacks what a run needs, and a preview works", async () => {
    await sql(`grant select on users to ${quoted}`);
    const findings = await checked({}, visitor);
    expect(troubles(findings)).toEqual(["update", "ledger"]);
    expect(found(findings, "update")[0]).toMatchObject({
      sentence: `${role} may not write clerk_user_id of users: a preview works, but nobody can be linked.`,
      remedy: `Run \`grant update ("clerk_user_id") on "users" to ${quoted}\`.`,
    });
    expect(JSON.stringify(findings)).not.toContain("s3cret");
  });

  test("who may read some columns is told the others", async () => {
    await sql(`grant select (user_id, email, clerk_user_id, created_at) on users to ${quoted}`);
    expect(found(await checked({}, visitor), "select")[0]).toMatchObject({
      sentence: `${role} may not read name and password_hash of users.`,
      remedy: `Run \`grant select ("name", "password_hash") on "users" to ${quoted}\`.`,
    });
  });

  test("who may not use the schema is told so", async () => {
    await sql("create schema app; alter table users set schema app");
    const findings = await checked({ name: "app.users" }, visitor);
    expect(found(findings, "select")[0]?.remedy).toBe(
      `Run \`grant usage on schema "app" to ${quoted}; grant select on "app"."users" to ${quoted}\`.`,
    );
  });

  test("who may not use a ledger that is there is told the grants that do", async () => {
    const database = openDatabase(at.url, 1);
    await ensureLedger(database);
    await database.end();
    await grantAll();
    expect(troubles(await checked({}, visitor))).toEqual([]);
    const own = openDatabase(visitor, 1);
    await ensureLedger(own);
    await own.query(
      "insert into clerk_migration.migrations (migration_id, link, clerk_instance_id) values ('m_1', 'l', 'ins_1')",
    );
    await own.query(
      "insert into clerk_migration.users (migration_id, user_id, stack, clerk_instance_id, status) values ('m_1', '1', 'p/s', 'ins_1', 'creating')",
    );
    await own.query(
      "insert into clerk_migration.runs (stack, clerk_instance_id, planned) values ('p/s', 'ins_1', '{}')",
    );
    await own.end();
  });

  test("who finds the ledger's schema without the ledger is told what creates it", async () => {
    await sql("create schema clerk_migration");
    await grantAll();
    const own = openDatabase(visitor, 1);
    await ensureLedger(own);
    await own.end();
    expect(troubles(await checked({}, visitor))).toEqual([]);
  });

  test("who finds the ledger at an earlier step is told what the next run does, and at a later one that it cannot", async () => {
    const database = openDatabase(at.url, 1);
    await ensureLedger(database);
    const { to } = await readLedgerVersion(database);
    await database.end();
    await sql(`delete from clerk_migration.steps where step = ${to.toString()}`);
    expect(found(await checked(), "ledger")[0]).toMatchObject({
      status: "note",
      sentence: `The ledger (schema clerk_migration) is at step ${(to - 1).toString()}, and the next run brings it to step ${to.toString()}.`,
    });
    await sql("drop table clerk_migration.steps");
    expect(found(await checked(), "ledger")[0]).toMatchObject({
      status: "note",
      sentence: expect.stringContaining(
        "is of before its steps were numbered, and the next run brings it",
      ) as string,
    });
    await sql(
      "create table clerk_migration.steps (step integer, name text, applied_at timestamptz, applied_by text)",
    );
    await sql("insert into clerk_migration.steps values (999, 'later', now(), 'somebody')");
    expect(found(await checked(), "ledger")[0]).toMatchObject({
      status: "problem",
      sentence: expect.stringContaining("is at step 999") as string,
    });
  });

  test("who may use an earlier ledger, and not change its tables, is told who can", async () => {
    const database = openDatabase(at.url, 1);
    await ensureLedger(database);
    await grantAll();
    await database.query(
      "delete from clerk_migration.steps where step = (select max(step) from clerk_migration.steps)",
    );
    const refusal = found(await checked({}, visitor), "ledger")[0];
    expect(refusal).toMatchObject({
      status: "problem",
      sentence: expect.stringContaining(`and ${role} may not bring it to step`) as string,
      remedy: expect.stringContaining(`to ${quoted}\`, or one \`up\` as`) as string,
    });
    const own = openDatabase(visitor, 1);
    await expect(ensureLedger(own)).rejects.toThrow(refusal?.sentence);
    expect(
      (await readOnly(own, (connection) => readLedger(connection, { stack: "p/s", migrationId: "m_1" })))
        .users.size,
    ).toBe(0);
    await Promise.all([database.end(), own.end()]);
  });

  test("who finds a schema of somebody else's in the ledger's place is refused, being a superuser or not", async () => {
    await sql(`grant create on database ${escapeIdentifier(new URL(at.url).pathname.slice(1))} to ${quoted}`);
    await sql(`create schema clerk_migration authorization ${quoted}`);
    expect(found(await checked({}, visitor), "ledger")[0]?.status).toBe("ok");
    const refusal = found(await checked(), "ledger")[0];
    expect(refusal).toMatchObject({
      status: "problem",
      sentence: expect.stringContaining(`The schema clerk_migration belongs to ${role}`) as string,
    });
    const database = openDatabase(at.url, 1);
    await expect(ensureLedger(database)).rejects.toMatchObject({ code: "foreign-ledger" });
    await database.query(`grant ${quoted} to current_user`);
    await ensureLedger(database);
    await database.query("drop schema clerk_migration cascade");
    await database.end();
  });

  test("whose rows no policy shows is told that all are hidden, and how they are not", async () => {
    await sql("alter table users enable row level security");
    expect(found(await checked({}, visitor), "row-security")[0]).toMatchObject({
      status: "problem",
      sentence: `Row-level security hides every row of users from ${role}: no policy allows select or update.`,
    });
    await grantAll();
    expect(found(await checked({}, visitor), "row-security")[0]?.status).toBe("ok");
  });

  test("whose rows a policy filters is told that some may be hidden", async () => {
    await sql(`alter table users enable row level security; create policy own on users to ${quoted} using (name is not null);
      create policy others on users to postgres using (true)`);
    await grantAll();
    const findings = await checked({}, visitor);
    expect(found(findings, "row-security")[0]).toMatchObject({
      status: "unknown",
      sentence: `Row-level security applies to ${role}, so rows of users may be hidden: own. A hidden row is not migrated, and one that was migrated looks deleted.`,
    });
    expect(found(await checked(), "row-security")[0]?.status).toBe("ok");
  });

  test("whose transactions are read-only by default is told the setting", async () => {
    await sql(`alter role ${quoted} set default_transaction_read_only = on`);
    expect(troubles(await checked({}, visitor))).toContain("writable");
    await grantAll();
    expect(troubles(await checked({}, visitor))).toEqual([]);
  });
});

describe("the server", () => {
  const server: ServerFacts = {
    version: "17.2",
    versionNumber: 170_002,
    user: "app",
    database: "shop",
    inRecovery: false,
    readOnly: false,
    tls: "TLSv1.3",
    privateNetwork: false,
  };
  const end = { host: "db.example.com", encrypts: true, verifies: true };

  test.each([
    ["ok", end, {}],
    ["ok", { ...end, host: "/var/run/postgresql", encrypts: false }, { tls: null }],
    ["ok", { ...end, host: "::1", encrypts: false }, { tls: null }],
    ["note", { ...end, verifies: false }, {}],
    ["note", end, { tls: null }],
    ["note", { ...end, encrypts: false }, { tls: null, privateNetwork: true }],
    ["problem", { ...end, encrypts: false }, { tls: null }],
    ["problem", { ...end, encrypts: false }, {}],
    ["problem", { ...end, host: "127.example.com", encrypts: false }, { tls: null }],
  ])("%s: encryption, seen from %o, where the server differs by %o", (status, client, seen) => {
    const finding = judgeTls(client, { ...server, ...seen });
    expect(finding.status).toBe(status);
    expect(finding.remedy === "").toBe(status === "ok");
  });

  test("reads host and encryption from the URL as the driver does", async () => {
    await loadSample(at.url);
    const remote = (url: string) =>
      connected(at.url, (client) => checkDatabase(client, defaultUsersTable, url)).then(
        (all) => found(all, "tls")[0],
      );
    expect((await remote("postgres://a:s3cret@db.example.com/shop"))?.sentence).toBe(
      "The connection to db.example.com is not encrypted, and password hashes pass over it. As far as the server can see, it stays in a private network.",
    );
    expect((await remote("postgres://a:s3cret@db.example.com/shop?sslmode=verify-full"))?.sentence).toContain(
      "there seems to be a pooler",
    );
    expect((await remote("postgres:///shop?host=/var/run/postgresql"))?.status).toBe("ok");
  });

  test("refuses a server that is too old, a replica, and one that is read-only", () => {
    expect(judgeVersion({ ...server, versionNumber: 110_022 }).status).toBe("problem");
    expect(judgeVersion({ ...server, versionNumber: 120_000 }).status).toBe("ok");
    expect(judgeWritable({ ...server, inRecovery: true }).sentence).toContain("replica");
    expect(judgeWritable({ ...server, readOnly: true }).remedy).toContain(
      `alter role "app" in database "shop" set default_transaction_read_only = off`,
    );
  });
});

describe("the condition", () => {
  let client: Client;
  beforeEach(async () => {
    await loadSample(at.url);
    client = new Client(at.url);
    await client.connect();
    await client.query("begin transaction read only");
  });
  afterEach(() => client.end());

  test.each([
    "u.created_at > now() - interval '2 years'",
    "u.name is null or u.name like 'A%' -- and nobody else",
    "exists (select from chat_sessions s where s.user_id = u.user_id)",
  ])("takes %j", async (where) => {
    expect((await checkCondition(client, defaultUsersTable, where)).status).toBe("ok");
  });

  test.each([
    ["u.nmae is null", "column u.nmae does not exist"],
    ["", "SQLSTATE 42601"],
    ["u.name", "must be type boolean"],
    [
      "u.user_id = 'x'",
      "SQLSTATE 22P02; its message may quote a row, so only the server's log shows it, at character 13 of it",
    ],
    ["u.name = $1", "parameter"],
    ["true) or (true", "SQLSTATE 42601"],
    ["true, false", "must be type boolean"],
    ["true); delete from users; --", "SQLSTATE 42601"],
    ["true /*", "SQLSTATE 42601"],
    ["count(*) > 1", "aggregate functions are not allowed"],
  ])("refuses %j, and the transaction stays usable", async (where, message) => {
    const finding = await checkCondition(client, defaultUsersTable, where);
    expect(finding.status).toBe("problem");
    expect(finding.sentence).toContain(message);
    expect((await client.query("select 1")).rowCount).toBe(1);
  });

  test("shows no literal of it", async () => {
    const finding = await checkCondition(
      client,
      defaultUsersTable,
      "u.email = 'someone@example.com' and u.no",
    );
    expect(finding.sentence).toContain("`u.email = ? and u.no`");
    expect(finding.sentence).not.toContain("someone");
  });

  test("does not run it", async () => {
    await client.query("set local statement_timeout = '5s'");
    const finding = await checkCondition(client, defaultUsersTable, "pg_sleep(60) is not null");
    expect(finding.status).toBe("ok");
  });
});

test("every check is in docs/checks.md", () => {
  const page = readFileSync(join(__dirname, "../../../docs/checks.md"), "utf8");
  expect(databaseChecks.filter((check) => !page.includes(`\`database/${check}\``))).toEqual([]);
});
