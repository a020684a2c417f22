import { randomBytes } from "node:crypto";

import { escapeIdentifier } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { MARCUS, openTestSystems, SARAH, STACK, type TestSystems } from "../systems";
import { type CommandRun, runCommand } from "./run-command";

const seals = {
  environment: {
    DIGEST_SEAL_KEY: randomBytes(32).toString("base64"),
    DIGEST_SEAL_KEY_NEW: randomBytes(32).toString("base64"),
  },
};

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
  for (const { userId } of [SARAH, MARCUS]) await ensureUser(on.systems, await on.declared(userId));
  await on.restart();
});
afterEach(() => on.close());

const commands = {
  doctor: [],
  verify: [],
  gate: ["--for", "legacy-off"],
  report: ["--out", "/dev/null"],
  export: ["--what", "migrated"],
  history: [],
  purge: [],
  "rotate-seal-key": [],
} as const;

/** Runs them all: each has to fail with sentences that say all of this, never in the bare words of Postgres. */
async function everyCommand(
  says: (name: keyof typeof commands) => readonly RegExp[],
): Promise<Record<string, CommandRun>> {
  const runs: Record<string, CommandRun> = {};
  for (const name of [
    "doctor",
    "verify",
    "gate",
    "report",
    "export",
    "history",
    "purge",
    "rotate-seal-key",
  ] as const) {
    const run = await runCommand(on, name, commands[name], seals);
    expect(run.exitCode, `${name}: ${run.output}`).not.toBe(0);
    for (const sentence of says(name)) expect(run.output, name).toMatch(sentence);
    expect(run.output, name).not.toMatch(/^\s+at |^(relation|permission)/m);
    expect(run.output).not.toContain(SARAH.email);
    runs[name] = run;
  }
  return runs;
}

const onlyLedger = new Set<string>(["history", "purge", "rotate-seal-key"]);

test("a ledger that was dropped is named by every command, with whom it has forgotten and the way on", async () => {
  await on.query("drop schema clerk_migration cascade");
  const runs = await everyCommand((name) =>
    onlyLedger.has(name)
      ? [/There is no ledger in this database \(schema clerk_migration\)/, /npm run up/]
      : [/does not know 2 users whom this stack has made/, new RegExp(SARAH.userId), /npm run up/],
  );
  expect(runs.verify?.output).not.toMatch(/^ok +verify\/(remaining|ledger|links|clerk) /m);
  // Advice that would hurt: these users and links are right.
  expect(runs.verify?.output).not.toMatch(/Clear their clerk_user_id|Delete the others/);
  expect(runs.gate?.output).toContain("The old login may be closed: no.");
  const [made] = await on.query<{ found: boolean }>(
    "select to_regnamespace('clerk_migration') is not null as found",
  );
  expect(made?.found).toBe(false);
});

test("a ledger from an older backup is told from one that knows everybody", async () => {
  await on.query("delete from clerk_migration.users where user_id = $1", [SARAH.userId]);
  for (const name of ["doctor", "verify", "gate", "report", "export"] as const) {
    const run = await runCommand(on, name, commands[name]);
    expect(run.exitCode, `${name}: ${run.output}`).toBe(1);
    expect(run.output).toMatch(
      new RegExp(`does not know 1 user whom this stack has made.*: ${SARAH.userId}\\.`),
    );
  }
});

test("a database from before the migration is told by the marks in Clerk", async () => {
  await on.query("drop schema clerk_migration cascade");
  await on.query("update users set clerk_user_id = null where user_id in ($1, $2)", [
    SARAH.userId,
    MARCUS.userId,
  ]);
  const run = await runCommand(on, "verify");
  expect(run.exitCode).toBe(1);
  expect(run.output).toContain("does not know 2 users whom this stack has made");
});

test("a ledger of which a part is gone is refused, with the tables that are missing", async () => {
  await on.query("drop table clerk_migration.users, clerk_migration.events cascade");
  await everyCommand(() => [
    /Part of the ledger \(schema clerk_migration\) is gone: users, events\./,
    /Restore the whole schema/,
  ]);
});

test("a ledger that the database user may not use is a matter of privileges", async () => {
  const role = `reader_${randomBytes(4).toString("hex")}`;
  await on.query(`create role ${escapeIdentifier(role)} login password 'secret'`);
  try {
    await on.query(`grant select on all tables in schema public to ${escapeIdentifier(role)}`);
    await on.query(`grant update (clerk_user_id) on users to ${escapeIdentifier(role)}`);
    const url = new URL(on.database.url);
    url.username = role;
    url.password = "secret";
    for (const name of ["doctor", "verify", "history", "purge", "rotate-seal-key"] as const) {
      const run = await runCommand(on, name, commands[name], {
        environment: { ...seals.environment, DATABASE_URL: url.href },
      });
      expect(run.exitCode, `${name}: ${run.output}`).toBe(1);
      expect(run.output, name).toMatch(/may not use the ledger/);
      expect(run.output, name).toContain("grant usage on schema clerk_migration to");
    }
  } finally {
    await on.query(`drop owned by ${escapeIdentifier(role)}`);
    await on.query(`drop role ${escapeIdentifier(role)}`);
  }
});

test("without a ledger and with nobody made, verify says that nobody was migrated", async () => {
  const fresh = await openTestSystems();
  try {
    await fresh.query("drop schema clerk_migration cascade");
    const run = await runCommand(fresh, "verify");
    expect(run.output).toContain(
      `There is no ledger in this database (schema clerk_migration): ${STACK} has migrated nobody here.`,
    );
  } finally {
    await fresh.close();
  }
});
