import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { messageOf, MigrationError } from "../../../providers/errors";
import { openDatabase, readOnly } from "../../../providers/postgres/database";
import { readLedger } from "../../../providers/postgres/ledger";
import { joinMigration } from "../../../providers/postgres/ledger-migrations";
import { ensureLedger } from "../../../providers/postgres/ledger-steps";
import { claimUser, linkUser } from "../../../providers/postgres/ledger-users";
import { countUsers, hasherOf, readRow, readUsers } from "../../../providers/postgres/legacy-users";
import { defaultUsersTable } from "../../../providers/postgres/users-table";
import { holdWriterLock } from "../../../providers/postgres/writer-lock";
import { connected } from "../../../sandbox/postgres";
import { loadGenerated, loadSample, sampleUsers } from "../../../sandbox/sample-users";
import { type TestDatabase, testDatabase } from "../../database";

let it: TestDatabase;
let database: ReturnType<typeof openDatabase>;

beforeEach(async () => {
  it = await testDatabase();
  database = openDatabase(it.url);
});
afterEach(async () => {
  await database.end();
  await it.drop();
});

describe("rows", () => {
  test("reads every row once, in pages, and never a digest", async () => {
    await loadGenerated(it.url, 10_001);
    const rows = await readOnly(database, (connection) => readUsers(connection, defaultUsersTable));
    expect(new Set(rows.map(({ userId }) => userId)).size).toBe(10_001);
    expect(JSON.stringify(rows)).not.toContain("$2b$");
  });

  test.each(["timestamp", "timestamptz", "date"])(
    "takes created_at without a zone as UTC, whatever the session says (%s)",
    async (type) => {
      await loadSample(it.url);
      await connected(it.url, async (client) => {
        await client.query("set timezone = 'UTC'");
        await client.query(
          `alter table users alter column created_at drop default, alter column created_at type ${type}`,
        );
        await client.query("alter role current_user set timezone = 'America/New_York'");
      });
      try {
        const sample = sampleUsers[0];
        const row = await readRow(database, defaultUsersTable, sample?.userId ?? "");
        const expected =
          type === "date" ? `${sample?.createdAt.slice(0, 10) ?? ""}T00:00:00.000Z` : sample?.createdAt;
        expect(row?.createdAt).toBe(expected);
      } finally {
        await connected(it.url, (client) => client.query("alter role current_user reset timezone"));
      }
    },
  );

  test.each([
    ["$2b$10$HoPWdKmgn4JIYUX8.XUJeutOSH3UeRifJQCWkE8Ia0o5BCLwdOU8W", "bcrypt"],
    ["$2y$12$HoPWdKmgn4JIYUX8.XUJeutOSH3UeRifJQCWkE8Ia0o5BCLwdOU8W", "bcrypt"],
    ["$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG", "argon2id"],
    ["$2b$10$short", null],
    ["5f4dcc3b5aa765d61d8327deb882cf99", null],
    ["", null],
  ])("%s is of %s", (digest, hasher) => {
    expect(hasherOf(digest)).toBe(hasher);
  });
});

describe("ledger", () => {
  const owner = {
    ...{ stack: "p/one", clerkInstanceId: "ins_1", migrationId: "m_1" },
    stacks: new Set(["p/one"]),
  };
  const make = async () => {
    await ensureLedger(database);
    await joinMigration(database, owner, "public.users.clerk_user_id");
  };
  const sample = sampleUsers.find(({ clerkUserId }) => clerkUserId === null);
  const userId = sample?.userId ?? "";
  const link = {
    userId,
    clerkUserId: "user_1",
    origin: "created",
    passwords: "carry",
    digestFingerprint: "f",
    profileFingerprint: "p",
    clerkPasswordAt: 1_700_000_000_123,
    attempt: 1,
  } as const;
  beforeEach(() => loadSample(it.url));

  test("is empty where there is none, for a connection that may only read", async () => {
    expect((await readOnly(database, (connection) => readLedger(connection, owner))).users.size).toBe(0);
  });

  test("is made once, also by several stacks at the same moment", async () => {
    await Promise.all(Array.from({ length: 4 }, () => ensureLedger(database)));
    await ensureLedger(database);
    expect((await readLedger(database, owner)).users.size).toBe(0);
  });

  test("links only a row without a link, and tells the same twice", async () => {
    await make();
    expect(await claimUser(database, owner, userId, "f")).toBeUndefined();
    expect(await linkUser(database, defaultUsersTable, owner, link)).toBeUndefined();
    expect(await linkUser(database, defaultUsersTable, owner, link)).toBeUndefined();
    expect(await linkUser(database, defaultUsersTable, owner, { ...link, clerkUserId: "user_2" })).toEqual({
      kind: "linked-elsewhere",
      clerkUserId: "user_1",
    });
    const entry = (await readLedger(database, owner)).users.get(userId);
    expect(entry).toMatchObject({
      status: "linked",
      clerkUserId: "user_1",
      clerkPasswordAt: 1_700_000_000_123,
    });
    const { rows } = await database.query<{ status: string }>(
      "select status from clerk_migration.events order by event_id",
    );
    expect(rows.map(({ status }) => status)).toEqual(["creating", "linked"]);
  });

  test("refuses a user whom another stack holds", async () => {
    await make();
    await claimUser(database, owner, userId, "f");
    await expect(claimUser(database, { ...owner, stack: "p/two" }, userId, "f")).rejects.toThrow(
      `User ${userId} belongs to the stack p/one.`,
    );
  });
});

describe("writer lock", () => {
  test("lets one process write, and names it to the second after a while", async () => {
    const first = await holdWriterLock(it.url, "p/one");
    const second = await holdWriterLock(it.url, "p/one", 0).catch(messageOf);
    expect(second).toMatch(
      /^Another process is writing for the stack p\/one \(clerk-migration \S+:\d+, since .* UTC\)\./,
    );
    await (await holdWriterLock(it.url, "p/two", 0)).release();
    await first.release();
    await (await holdWriterLock(it.url, "p/one", 0)).release();
  });

  test("stops everything as soon as its connection is gone", async () => {
    const lock = await holdWriterLock(it.url, "p/one");
    lock.assertHeld();
    await connected(it.url, (client) =>
      client.query("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"),
    );
    await expect
      .poll(() => {
        try {
          lock.assertHeld();
          return "held";
        } catch (error) {
          return messageOf(error);
        }
      })
      .toContain("The connection to Postgres that keeps this process the only writer was lost");
  });
});

describe("what stands for nothing", () => {
  const small = (rows: string) =>
    connected(it.url, (client) =>
      client.query(`create table users (user_id int, email text, name text, password_hash text, clerk_user_id text,
        created_at timestamptz); insert into users (user_id, password_hash, clerk_user_id) values ${rows}`),
    );
  const all = () => readOnly(database, (connection) => readUsers(connection, defaultUsersTable));

  test.each([
    [null, false],
    ["", false],
    ["  ", false],
    ["x", false],
    ["!", false],
    ["!!", false],
    ["*", false],
    ["*LK*", false],
    ["!cG9zdGdyZXMgaXMgZnVu", false],
    ["!$6$salt$hash", false],
    ["xyz", true],
    ["*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", true],
    ["5f4dcc3b5aa765d61d8327deb882cf99", true],
  ])("the password hash %j is one: %s, wherever it is asked for", async (hash, isOne) => {
    await small(`(1, ${hash === null ? "null" : `'${hash}'`}, null)`);
    expect((await all())[0]?.digest !== null).toBe(isOne);
    expect((await readRow(database, defaultUsersTable, "1"))?.passwordDigest).toBe(isOne ? hash : null);
    const counts = await countUsers(database, defaultUsersTable);
    expect([counts.legacy, counts.withPassword]).toEqual(isOne ? [1, 1] : [0, 0]);
  });

  test("a blank link is none: it is read and counted as one", async () => {
    await small("(1, 'hash', ''), (2, 'hash', ' '), (3, 'hash', 'user_x')");
    expect((await all()).map(({ clerkUserId }) => clerkUserId)).toEqual([null, null, "user_x"]);
    expect(await countUsers(database, defaultUsersTable)).toMatchObject({ linked: 1, legacy: 2 });
  });

  test("two rows with one user_id both come, however many pages there are, and neither is worked on", async () => {
    await small("(1, 'hash', null)");
    await connected(it.url, (client) =>
      client.query("insert into users (user_id) select greatest(1, g / 2) from generate_series(2, 12000) g"),
    );
    expect(await all()).toHaveLength(12_000);
    await expect(readRow(database, defaultUsersTable, "77")).rejects.toThrow("2 rows have this user_id");
  });
});

test("a snapshot outlives the server's timeouts", async () => {
  await connected(it.url, (client) =>
    client.query(`do $$begin
      execute format('alter database %I set statement_timeout = 300', current_database());
      execute format('alter database %I set idle_in_transaction_session_timeout = 300', current_database());
      if current_setting('server_version_num')::int >= 170000 then
        execute format('alter database %I set transaction_timeout = 300', current_database());
      end if; end$$`),
  );
  await readOnly(database, async (connection) => {
    await connection.query("select pg_sleep(0.6)");
    expect((await connection.query("select 1")).rowCount).toBe(1);
  });
});

describe("errors", () => {
  const failing = async (url: string) => {
    const other = openDatabase(url, 1);
    try {
      await readOnly(other, (connection) => readUsers(connection, defaultUsersTable));
    } catch (error) {
      return error;
    } finally {
      await other.end();
    }
    return undefined;
  };

  test("say what is wrong and what to do, without the URL, its password or a stack", async () => {
    const url = new URL(it.url);
    url.password = "s3cret";
    const at = (change: (copy: URL) => void) => {
      const copy = new URL(url);
      change(copy);
      return copy.href;
    };
    const refused = await failing(at((copy) => (copy.port = "1")));
    const unknown = await failing(at((copy) => (copy.pathname = "/nowhere")));
    const empty = await failing(url.href);
    for (const [error, text] of [
      [refused, "does not answer at the address in DATABASE_URL"],
      [unknown, 'database "nowhere" does not exist'],
      [empty, 'relation "users" does not exist'],
    ] as const) {
      expect(error).toBeInstanceOf(MigrationError);
      expect(messageOf(error)).toContain(text);
      expect(messageOf(error)).not.toMatch(/s3cret|postgres:\/\//);
    }
  });
});
