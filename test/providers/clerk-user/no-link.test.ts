import { randomBytes } from "node:crypto";

import { escapeIdentifier } from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ClerkUserOutputs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { openDatabase } from "../../../providers/postgres/database";
import { readUser } from "../../../providers/postgres/ledger-users";
import { tryLink } from "../../../providers/postgres/link";
import { tableProblem } from "../../../providers/postgres/link-problems";
import { defaultUsersTable } from "../../../providers/postgres/users-table";
import { clerkUser } from "../../../sandbox/clerk/new-user";
import { connected } from "../../../sandbox/postgres";
import { openTestSystems, type TestSystems } from "../../systems";

const DIGEST = "$2b$10$LUbkuo2POs2kK63kORpfJuC8S6b.JYM03UAPRxNqVNQC2PFfGf9Ta";
const users = `
  create table users (user_id int primary key, email text, name text, password_hash text, clerk_user_id text unique, created_at timestamptz);
  insert into users select n, 'user' || n || '@ampdial.com', 'User', '${DIGEST}', null, '2020-01-01' from generate_series(1, 5) as n;
`;
const trigger = (name: string, when: string, body: string) =>
  `create function ${name}() returns trigger language plpgsql as $$begin ${body} end$$;
   create trigger ${name} ${when} on users for each row execute function ${name}();`;

/** Tables that take no link, each in its way. */
const tables: readonly [
  string,
  { readonly sql: string; readonly code: string; readonly reason: RegExp; readonly remedy: RegExp },
][] = [
  [
    "a trigger that keeps the column",
    {
      sql: trigger("keep", "before update", "new.clerk_user_id := old.clerk_user_id; return new;"),
      code: "link-kept",
      reason: /does not keep the link that was written: a trigger or rule may put .* \(keep\)/,
      remedy: /^Let an update of clerk_user_id alone pass keep/,
    },
  ],
  [
    "a trigger that empties the column afterwards",
    {
      sql: trigger(
        "empty",
        "after update",
        "update users set clerk_user_id = null where user_id = new.user_id and clerk_user_id is not null; return null;",
      ),
      code: "link-kept",
      reason: /\(empty\)/,
      remedy: /empty/,
    },
  ],
  [
    "a trigger that skips the update",
    {
      sql: trigger("guard", "before update", "return null;"),
      code: "link-skipped",
      reason:
        /^The row of user 1 does not take the link, though it is free: a trigger or rule may skip the update \(guard\)\.$/,
      remedy: /guard/,
    },
  ],
  [
    "a rule that skips the update",
    {
      sql: "create rule quiet as on update to users do instead nothing",
      code: "link-skipped",
      reason: /a trigger or rule may skip the update \(quiet\)/,
      remedy: /quiet/,
    },
  ],
  [
    "a trigger that reads a setting which is not there",
    {
      sql: trigger("audit", "after update", "perform current_setting('app.actor')::int; return new;"),
      code: "link-trigger",
      reason: /the trigger audit of users failed \(SQLSTATE 42704;/,
      remedy: /alter role ".+" set app\.actor = /,
    },
  ],
  [
    "a trigger that refuses, in words of its own",
    {
      sql: trigger("frozen", "before update", "raise exception 'no more of sam@ampdial.com'; return new;"),
      code: "link-trigger",
      reason: /the trigger frozen of users failed \(SQLSTATE P0001; its message may quote a row/,
      remedy: /`alter table users disable trigger "frozen"`/,
    },
  ],
  [
    "a trigger that fails at the end of the transaction",
    {
      sql: `create function late() returns trigger language plpgsql as $$begin raise exception 'late'; end$$;
        create constraint trigger late after update on users deferrable initially deferred for each row execute function late();`,
      code: "link-trigger",
      reason: /the trigger late of users failed/,
      remedy: /"late"/,
    },
  ],
  [
    "a constraint that forbids it",
    {
      sql: "alter table users add constraint one_way_in check (num_nonnulls(password_hash, clerk_user_id) <= 1)",
      code: "link-check",
      reason: /the constraint one_way_in forbids it \(CHECK/,
      remedy: /drop constraint "one_way_in"/,
    },
  ],
  [
    "a view that cannot be written",
    {
      sql: "alter table users rename to people; create view users as select distinct * from people",
      code: "link-refused",
      reason: /Postgres refused it \(SQLSTATE 55000/,
      remedy: /Mend that in users/,
    },
  ],
];

let on: TestSystems;
const open = async (sql = "") => {
  on = await openTestSystems({
    load: (url) =>
      connected(url, async (client) => {
        await client.query(users);
      }),
  });
  inputs = await Promise.all(["1", "2", "3"].map((userId) => on.declared(userId)));
  await on.query(sql === "" ? "select 1" : sql);
};
let inputs: Awaited<ReturnType<TestSystems["declared"]>>[];
afterEach(() => on.close());

const inputsOf = (index: number) => {
  const found = inputs[index - 1];
  if (found === undefined) throw new Error("no such row");
  return found;
};
const create = (index: number) => ensureUser(on.systems, inputsOf(index));
const ledger = (index: number) => readUser(on.systems.database, on.migration, index.toString());
const isInClerk = (index: number) => on.live(index.toString()) !== undefined;
const links = async () =>
  (await on.query<{ link: string | null }>("select clerk_user_id as link from users order by user_id")).map(
    ({ link }) => link,
  );

describe.each(tables)("%s", (_, { sql, code, reason, remedy }) => {
  test("is found by a trial link, with its own cause and remedy, and nothing is changed", async () => {
    await open(sql);
    const problem = await tableProblem(on.systems.database, defaultUsersTable, ["1", "2", "3"]);
    expect(problem).toMatchObject({
      code,
      reason: expect.stringMatching(reason) as string,
      remedy: expect.stringMatching(remedy) as string,
    });
    expect(await links()).toEqual([null, null, null, null, null]);
  });

  // What waits for the end of the transaction is found by the trial.
  test.skipIf(sql.includes("deferred"))(
    "is no link: nobody stays in Clerk, nothing is recorded as linked, and nobody else is created",
    async () => {
      await open(sql);
      await expect(create(1)).rejects.toMatchObject({ code });
      expect(isInClerk(1)).toBe(false);
      expect(await ledger(1)).toMatchObject({ status: "refused", failure: { code } });
      expect(await links()).toEqual([null, null, null, null, null]);

      const writes = on.written();
      await expect(create(2)).rejects.toMatchObject({
        code: "no-link-taken",
        reason: expect.stringContaining("Nobody else is created in this run") as string,
      });
      expect(on.written()).toEqual(writes);
      expect(await ledger(2)).toMatchObject({ status: "refused" });
    },
  );
});

test("a table that takes links is tried without a trace", async () => {
  await open();
  expect(await tryLink(on.systems.database, defaultUsersTable, "1")).toBeUndefined();
  expect(await tableProblem(on.systems.database, defaultUsersTable, ["1", "9"])).toBeUndefined();
  expect(await links()).toEqual([null, null, null, null, null]);
  expect(await on.query("select 1 from clerk_migration.users")).toEqual([]);
});

test("one row that takes no link fails alone: the others are created", async () => {
  await open(trigger("odd", "before update", "if new.user_id = 1 then return null; end if; return new;"));
  await expect(create(1)).rejects.toMatchObject({ code: "link-skipped" });
  expect(await tableProblem(on.systems.database, defaultUsersTable, ["1", "2"])).toBeUndefined();
  await create(2);
  expect(isInClerk(1)).toBe(false);
  expect(isInClerk(2)).toBe(true);
});

test("a link that was there already counts, whatever the triggers", async () => {
  await open();
  const { clerkUserId } = await create(1);
  await on.query("delete from clerk_migration.users");
  await on.query(trigger("guard", "before update", "return null;"));
  expect((await create(1)).clerkUserId).toBe(clerkUserId);
  expect(await ledger(1)).toMatchObject({ status: "linked", clerkUserId });
});

describe("a link that is not taken", () => {
  test("gives an adopted account back as it was", async () => {
    await open();
    const hers = { ...clerkUser({ id: "user_one", email: "user1@ampdial.com" }), privateMetadata: { a: 1 } };
    on.clerk.store.putUser(hers);
    inputs = [await on.declared("1", { existing: "adopt" })];
    await on.query(trigger("guard", "before update", "return null;"));

    await expect(create(1)).rejects.toMatchObject({ code: "link-skipped" });

    const live = on.clerk.store.users.get("user_one");
    expect(live).toEqual({ ...hers, updatedAt: live?.updatedAt });
    expect(await ledger(1)).toMatchObject({ status: "refused" });
    expect(on.written()).not.toContain("DELETE /users/{user_id}");
  });

  test("deletes nobody whom an earlier run has made: such a user stays, and stays held", async () => {
    await open();
    const { clerkUserId } = await create(1);
    await on.query("delete from clerk_migration.users");
    await on.query("update users set clerk_user_id = null");
    await on.query(trigger("guard", "before update", "return null;"));
    inputs = [await on.declared("1")];

    await expect(create(1)).rejects.toThrow("was left alone");

    expect(on.live("1")?.id).toBe(clerkUserId);
    expect(await ledger(1)).toMatchObject({ status: "creating" });
  });
});

describe("a rollback", () => {
  let outputs: ClerkUserOutputs;
  beforeEach(async () => {
    await open();
    outputs = await create(1);
  });

  test.each([
    ["keeps its link", "link-kept", "new.clerk_user_id := old.clerk_user_id; return new;"],
    ["skips the update", "link-skipped", "return null;"],
    ["fails", "link-trigger", "raise exception 'no'; return new;"],
  ])("of a row whose trigger %s deletes nobody and records nothing", async (_, code, body) => {
    await on.query(trigger("keep", "before update", body));
    await expect(deleteUser(on.systems, outputs)).rejects.toMatchObject({
      code: `un${code}`,
      reason: expect.stringContaining("does not let go of its link") as string,
    });
    expect(isInClerk(1)).toBe(true);
    expect(await ledger(1)).toMatchObject({ status: "linked", clerkUserId: outputs.clerkUserId });

    await on.query("drop trigger keep on users");
    await deleteUser(on.systems, outputs);
    expect(isInClerk(1)).toBe(false);
    expect(await links()).toEqual([null, null, null, null, null]);
  });
});

describe("a role", () => {
  const name = `linker_${randomBytes(4).toString("hex")}`;
  const role = escapeIdentifier(name);
  afterEach(() =>
    connected(on.database.url, async (client) => {
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }),
  );

  test.each([
    ["lacks the privilege", "", "link-privilege", /grant update \("clerk_user_id"\) on "users" to/],
    [
      "is refused by a policy's check",
      `grant update on users to ${role}; alter table users enable row level security;
       create policy reads on users for select using (true);
       create policy checks on users for update using (true) with check (clerk_user_id is null)`,
      "link-policy",
      /bypassrls/,
    ],
    [
      "has the rows hidden from its updates",
      `grant update on users to ${role}; alter table users enable row level security;
       create policy reads on users for select using (true)`,
      "link-policy",
      /bypassrls/,
    ],
  ])("that %s is told so, with a remedy of its own", async (_, sql, code, remedy) => {
    await open(`create role ${role} login password 's3cret'; grant select on users to ${role}; ${sql}`);
    const url = new URL(on.database.url);
    url.username = name;
    url.password = "s3cret";
    const linker = openDatabase(url.href, 2);
    try {
      expect(await tableProblem(linker, defaultUsersTable, ["1"])).toMatchObject({
        code,
        remedy: expect.stringMatching(remedy) as string,
      });
    } finally {
      await linker.end();
    }
  });
});

describe("a check constraint is asked by reading alone", () => {
  const findings = async () =>
    (await on.world()).findings.filter(({ check }) => check === "database/link-check");

  test.each([
    ["num_nonnulls(password_hash, clerk_user_id) <= 1", "problem", "5 of the 5 legacy rows cannot be linked"],
    ["clerk_user_id is null or user_id > 2", "problem", "2 of the 5 legacy rows cannot be linked"],
    ["clerk_user_id like 'user\\_%'", "ok", "lets each of the 5 legacy rows have a link"],
    ["length(clerk_user_id) between 10 and 40", "ok", "lets each of the 5"],
  ])("%s: %s", async (condition, status, sentence) => {
    await open(`alter table users add constraint one_way_in check (${condition})`);
    expect(await findings()).toMatchObject([
      { status, sentence: expect.stringContaining(sentence) as string },
    ]);
    expect(await links()).toEqual([null, null, null, null, null]);
  });
});
