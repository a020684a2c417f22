import { randomBytes } from "node:crypto";

import { Client, escapeIdentifier } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";

import { messageOf } from "../../../providers/errors";
import { explainDatabaseError, openDatabase, readOnly } from "../../../providers/postgres/database";
import { readLedger } from "../../../providers/postgres/ledger";
import { ensureLedger } from "../../../providers/postgres/ledger-steps";
import { readUsers } from "../../../providers/postgres/legacy-users";
import { checkDatabase } from "../../../providers/postgres/preflight";
import { defaultUsersTable } from "../../../providers/postgres/users-table";
import { connected } from "../../../sandbox/postgres";
import { loadSample } from "../../../sandbox/sample-users";
import { type TestDatabase, testDatabase } from "../../database";

/** Of this file alone: roles belong to the server, which other tests use as well. */
const role = `reader_${randomBytes(4).toString("hex")}`;
const quoted = escapeIdentifier(role);

let at: TestDatabase;
let owner: ReturnType<typeof openDatabase>;
let reader: ReturnType<typeof openDatabase>;

beforeEach(async () => {
  at = await testDatabase();
  await loadSample(at.url);
  await connected(at.url, (client) =>
    client.query(`create role ${quoted} login password 's3cret'; grant select on users to ${quoted}`),
  );
  const url = new URL(at.url);
  url.username = role;
  url.password = "s3cret";
  owner = openDatabase(at.url, 2);
  reader = openDatabase(url.href, 2);
});
afterEach(async () => {
  await Promise.all([owner.end(), reader.end()]);
  await connected(at.url, (client) => client.query(`drop owned by ${quoted}; drop role ${quoted}`));
  await at.drop();
});

test("a role that may only select is enough for a preview", async () => {
  const seen = await readOnly(reader, async (connection) => ({
    rows: await readUsers(connection, defaultUsersTable),
    ledger: await readLedger(connection, { stack: "p/s", migrationId: "m_1" }),
  }));
  expect(seen.rows).toHaveLength(44);
  expect(seen.ledger.users.size).toBe(0);
});

test("a role that may only select is told what a run needs, without the URL, its password or a stack", async () => {
  const message = await ensureLedger(reader).catch(messageOf);
  expect(message).toMatch(
    /^The database user lacks a privilege \(permission denied for database \S+, SQLSTATE 42501\)\. Grant select on users, update \(clerk_user_id\) on users and create on the database, or use another user\.$/,
  );
});

test("a role that may not empty the column of the digests is told so where digests are to be retired, and how it may", async () => {
  const check = async () =>
    (await readOnly(reader, (connection) => checkDatabase(connection, defaultUsersTable, at.url, true))).find(
      (finding) => finding.check === "database/retire",
    );
  const refused = await check();
  expect(refused).toMatchObject({
    status: "problem",
    sentence: `${role} may not write password_hash of users, so no digest can be retired.`,
  });
  const [, statement = ""] = /`([^`]+)`/.exec(refused?.remedy ?? "") ?? [];
  await connected(at.url, (client) => client.query(statement));
  expect(await check()).toMatchObject({ status: "ok" });
});

test("a role that may not read the ledger is told so", async () => {
  await ensureLedger(owner);
  const message = await readOnly(reader, (connection) =>
    readLedger(connection, { stack: "p/s", migrationId: "m_1" }),
  ).catch(messageOf);
  expect(message).toContain("The database user may not use the ledger");
  expect(message).not.toContain("s3cret");
});

test("a column that is missing is named, with the statement that adds it", async () => {
  await owner.query("alter table users drop column clerk_user_id");
  await expect(readOnly(owner, (connection) => readUsers(connection, defaultUsersTable))).rejects.toThrow(
    "A column is missing (column u.clerk_user_id does not exist, SQLSTATE 42703). The users table needs user_id, email, name, password_hash, clerk_user_id and created_at. Add it, e.g. `alter table users add column clerk_user_id text unique`.",
  );
});

test("a read-only transaction cannot write", async () => {
  await expect(
    readOnly(owner, (connection) => connection.query("update users set name = ''")),
  ).rejects.toMatchObject({ code: "postgres-25006" });
});

test("a connection that is ended while in use says that the next run continues", async () => {
  const client = new Client(at.url);
  client.on("error", () => undefined);
  await client.connect();
  const running = client
    .query("select pg_sleep(60)")
    .catch((error: unknown) => messageOf(explainDatabaseError(error)));
  await owner.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  expect(await running).toContain("Run the command again; it continues");
  await client.end();
});

test("what is no failure of Postgres passes as it is", () => {
  const missingFile = Object.assign(new Error("no such file"), { code: "ENOENT" });
  expect(explainDatabaseError(missingFile)).toBe(missingFile);
  expect(explainDatabaseError("text")).toBe("text");
});
