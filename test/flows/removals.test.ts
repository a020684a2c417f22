import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";

import { connected, createDatabase, dropDatabase } from "../../sandbox/postgres";
import { type Stack, startStack } from "./stack";

// Nobody is removed whom the dry run has not named, whichever way a program comes to leave somebody out.

const DIGEST = "$2b$10$LUbkuo2POs2kK63kORpfJuC8S6b.JYM03UAPRxNqVNQC2PFfGf9Ta";

async function threeUsers(databaseUrl: string, from = 1): Promise<void> {
  await connected(databaseUrl, async (client) => {
    await client.query(
      `create table users (user_id int primary key, email text, name text, password_hash text,
         clerk_user_id text unique, created_at timestamptz)`,
    );
    await client.query(
      `insert into users select n, 'user' || n || '@ampdial.com', 'User', $1, null, '2020-01-01'
       from generate_series($2::int, $2 + 2) n`,
      [DIGEST, from],
    );
  });
}

let stack: Stack;
afterEach(async () => {
  expect(await stack.stop()).toEqual([]);
});

async function migrated(): Promise<void> {
  stack = await startStack({ load: (url) => threeUsers(url) });
  const run = await stack.up();
  expect(run.exitCode, run.output).toBe(0);
}

const sql = (text: string) => connected(stack.databaseUrl, (client) => client.query(text));
const links = async () =>
  (await sql("select user_id, clerk_user_id from users order by 1")).rows.map((row: unknown) =>
    JSON.stringify(row),
  );
/** In Clerk, of those whom the stack has made. */
const people = () =>
  ["1", "2", "3"].filter((userId) => stack.clerk.store.userByExternalId(userId) !== undefined);

function urnOf(userId: string): string {
  const type = "pulumi-nodejs:dynamic/clerk:Migration$pulumi-nodejs:dynamic/clerk:User";
  return `urn:pulumi:sandbox::clerk-migration::${type}::${userId}`;
}

/** The ledger and the row know nothing of user 1, and a filter leaves the user out: only the state still lists it. */
async function forget(): Promise<void> {
  await sql("delete from clerk_migration.users where user_id = '1'");
  await sql("update users set clerk_user_id = null where user_id = 1");
  await stack.configure({ exclude: "1" });
}

describe("whom only the state still lists", () => {
  test.each([
    ["up", ["up", "--yes", "--skip-preview", "--continue-on-error"]],
    ["up with its own preview", ["up", "--yes", "--continue-on-error"]],
    ["up --refresh", ["up", "--yes", "--skip-preview", "--refresh", "--continue-on-error"]],
    [
      "up --target",
      ["up", "--yes", "--skip-preview", "--target", urnOf("1"), "--target-dependents", "--continue-on-error"],
    ],
    ["destroy --run-program", ["destroy", "--yes", "--skip-preview", "--run-program", "--continue-on-error"]],
  ])("stays in Clerk: %s", async (_, args) => {
    await migrated();
    await forget();
    const before = await links();

    const run = await stack.pulumi(args);

    expect(run.exitCode, run.output).not.toBe(0);
    expect(run.output).toContain(
      "user 1 is in the stack's state, and this run's program has not announced to remove it",
    );
    expect(people()).toEqual(["1", "2", "3"]);
    expect(await links()).toEqual(before);
  });

  test("stays in Clerk in a destroy, too, where neither ledger nor row knows the user", async () => {
    await migrated();
    await forget();

    const run = await stack.destroy();

    expect(run.exitCode).not.toBe(0);
    expect(run.output).toContain("User 1: the stack's state knows the Clerk user");
    expect(people()).toEqual(["1"]);
  });
});

test("a destroy of one target rolls back that user alone, and a state that has let go of one takes the user up again", async () => {
  await migrated();
  const target = ["--target", urnOf("2"), "--target-dependents"];
  const one = await stack.pulumi(["destroy", "--yes", "--skip-preview", ...target]);
  expect(one.exitCode, one.output).toBe(0);
  expect(people()).toEqual(["1", "3"]);

  const before = stack.clerk.store.requests.filter(({ wrote }) => wrote).length;
  const released = await stack.state("delete", urnOf("3"), "--target-dependents");
  expect(released.exitCode, released.output).toBe(0);
  await stack.configure({ exclude: "2" });
  const again = await stack.up();
  expect(again.exitCode, again.output).toBe(0);
  expect(people()).toEqual(["1", "3"]);
  expect(stack.clerk.store.requests.filter(({ wrote }) => wrote)).toHaveLength(before);
});

describe("an up that may remove somebody", () => {
  test("says so in the dry run, removes exactly those, and the second one nobody", async () => {
    await migrated();
    await sql("delete from users where user_id = 2");
    const stopped = await stack.up();
    expect(stopped.exitCode).not.toBe(0);
    expect(stopped.output).toContain(
      "1 of the 3 users that this stack holds are gone from the users table (2)",
    );
    expect(people()).toEqual(["1", "2", "3"]);

    await stack.configure({ allowRemovals: "1" });
    const preview = await stack.pulumi(["preview"]);
    expect(preview.output).toContain("remove  1  the row is gone, and allowRemovals lets that many go: 2");
    const run = await stack.up();
    expect(run.exitCode, run.output).toBe(0);
    expect(people()).toEqual(["1", "3"]);
    const again = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
    expect(again.exitCode, again.output).toBe(0);
  });
});

describe("an up that follows a saved plan", () => {
  const experimental = { PULUMI_EXPERIMENTAL: "true" };
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "saved-plan-"))));
  afterEach(() => rm(directory, { recursive: true }));

  async function savedPlan(): Promise<string> {
    const file = join(directory, "plan.json");
    const preview = await stack.pulumi(["preview", "--save-plan", file], experimental);
    expect(preview.exitCode, preview.output).toBe(0);
    const saved = await readFile(file, "utf8");
    expect(saved).toContain(urnOf("1"));
    expect(saved).not.toMatch(/user\d@ampdial|\$2b\$/);
    return file;
  }
  const follow = (file: string) =>
    stack.pulumi(["up", "--yes", "--skip-preview", "--plan", file, "--continue-on-error"], experimental);

  test("removes nobody whom that run's program has not announced, though the plan lists the deletion", async () => {
    await migrated();
    await forget();
    const before = await links();
    const run = await follow(await savedPlan());
    expect(run.exitCode, run.output).not.toBe(0);
    expect(run.output).toContain(
      "user 1 is in the stack's state, and this run's program has not announced to remove it",
    );
    expect(people()).toEqual(["1", "2", "3"]);
    expect(await links()).toEqual(before);
  });

  test("removes exactly those to whom a setting consents", async () => {
    await migrated();
    await sql("delete from users where user_id = 2");
    await stack.configure({ allowRemovals: "1" });
    const run = await follow(await savedPlan());
    expect(run.exitCode, run.output).toBe(0);
    expect(people()).toEqual(["1", "3"]);
  });
});

describe("another database", () => {
  test("with a ledger of its own, or empty, stops preview, up and destroy, and nothing changes anywhere", async () => {
    await migrated();
    const other = await createDatabase(inject("postgresUrl"));
    await threeUsers(other, 4);
    const before = await links();
    const { size } = stack.clerk.store.users;
    const changing = ["--yes", "--skip-preview", "--continue-on-error"];
    const elsewhere = { DATABASE_URL: other };
    for (const args of [["preview"], ["up", ...changing], ["destroy", ...changing]]) {
      const run = await stack.pulumi(args, elsewhere);
      expect(run.exitCode, run.output).not.toBe(0);
      expect(run.output).toMatch(/it is another database|its row does not lead there/);
      expect(stack.clerk.store.users.size).toBe(size);
    }
    expect(await links()).toEqual(before);
    await dropDatabase(inject("postgresUrl"), other);
    // Nothing of it is left in the state, either: the right database goes on as if nothing had been.
    const again = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
    expect(again.exitCode, again.output).toBe(0);
  });
});

test("a rename of the stack stops until somebody says so, writes nothing in Clerk, and rolls back under the new name", async () => {
  await migrated();
  const before = await links();
  const requests = stack.clerk.store.requests.filter(({ wrote }) => wrote).length;
  await stack.rename("renamed");

  const stopped = await stack.up();
  expect(stopped.exitCode).not.toBe(0);
  expect(stopped.output).toContain(
    "The stack clerk-migration/sandbox holds 3 users of public.users.clerk_user_id, and the stack clerk-migration/renamed holds none.",
  );
  expect(people()).toEqual(["1", "2", "3"]);

  const run = await stack.up({ MIGRATE_TAKE_OVER: "clerk-migration/sandbox" });
  expect(run.exitCode, run.output).toBe(0);
  expect(await links()).toEqual(before);
  expect(stack.clerk.store.requests.filter(({ wrote }) => wrote)).toHaveLength(requests);

  const back = await stack.destroy();
  expect(back.exitCode, back.output).toBe(0);
  expect(people()).toEqual([]);
  expect([...stack.clerk.store.invitations.values()].filter(({ status }) => status === "pending")).toEqual(
    [],
  );
});

test("a ledger that is gone is made anew: everybody is taken up again, nobody is told twice, and the way back is whole", async () => {
  await migrated();
  const before = await links();
  expect(stack.clerk.store.outbox).toHaveLength(3);
  await sql("drop schema clerk_migration cascade");

  const preview = await stack.pulumi(["preview"]);
  expect(preview.exitCode, preview.output).toBe(0);
  const run = await stack.up();
  expect(run.exitCode, run.output).toBe(0);
  expect(await links()).toEqual(before);
  expect(stack.clerk.store.outbox).toHaveLength(3);
  expect((await stack.outputs()).funnel).toMatchObject({ linked: 3, told: 3 });
  const again = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
  expect(again.exitCode, again.output).toBe(0);

  const back = await stack.destroy();
  expect(back.exitCode, back.output).toBe(0);
  expect(people()).toEqual([]);
});

test("a ledger that is gone right before a destroy keeps nobody from being rolled back, mails included", async () => {
  await migrated();
  await sql("drop schema clerk_migration cascade");

  const back = await stack.destroy();

  expect(back.exitCode, back.output).toBe(0);
  expect(people()).toEqual([]);
  expect([...stack.clerk.store.invitations.values()].filter(({ status }) => status === "pending")).toEqual(
    [],
  );
  expect((await links()).join()).not.toContain('"clerk_user_id":"user_');
});

test("a decision keeps somebody whatever else is said", async () => {
  await migrated();
  await sql("delete from users where user_id = 2");
  const decisions = join(stack.directory, "decisions.yaml");
  await writeFile(decisions, "'2':\n  keep: the row was archived\n");
  await stack.configure({ allowRemovals: "3", decisions });

  const run = await stack.up();
  expect(run.exitCode, run.output).toBe(0);
  expect(people()).toEqual(["1", "2", "3"]);
  const back = await stack.destroy();
  expect(back.exitCode).not.toBe(0);
  expect(back.output).toContain("User 2 is kept by a decision (the row was archived)");
  expect(people()).toEqual(["2"]);
});
