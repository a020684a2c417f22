import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { signIn } from "../../sandbox/clerk/sign-in";
import { sampleUsers } from "../../sandbox/sample-users";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { isProvider, kill, sigkill, survivors } from "../chaos/kill";
import type { Run } from "../stack";
import { type Stack, startStack } from "./stack";

const [first] = sampleUsers.filter((user) => user.clerkUserId === null);
if (first === undefined) throw new Error("the sample has no legacy user");

let stack: Stack;
afterEach(async () => {
  expect(await stack.stop()).toEqual([]);
});

/** What `npm run <verb> -- <args>` starts. */
async function npmRun(
  verb: string,
  args: readonly string[],
  variables: Record<string, string> = {},
): Promise<Run> {
  return start("run", [verb, ...args], variables);
}

async function start(
  script: string,
  args: readonly string[],
  variables: Record<string, string> = {},
): Promise<Run> {
  const child = spawn(process.execPath, ["--import", "tsx", `commands/${script}.ts`, ...args], {
    env: { ...stack.environment, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  await once(child, "close");
  return { exitCode: child.exitCode, output };
}

/** An up whose engine and provider are killed at the tenth request, with nothing of it in the state. */
async function killedUp(): Promise<void> {
  let seen = 0;
  let engine: number | undefined;
  let killed: ReturnType<typeof kill> | undefined;
  stack = await startStack({
    onStart: ({ pid }) => (engine = pid),
    onExchange: () => {
      if (++seen === 10 && engine !== undefined) killed = kill("both", engine, stack.databaseUrl);
    },
  });
  await stack.up({ PULUMI_SKIP_CHECKPOINTS: "true" });
  const { family } = (await killed) ?? { family: [] };
  await survivors(family.filter(isProvider), 30_000);
  for (const { pid } of family) sigkill(pid);
}

const flags = () => ["--config-file", stack.configFile, "--yes", "--skip-preview"];

test("names the lock that a killed run has left, its remedy, and that its process is gone", async () => {
  await killedUp();

  const run = await npmRun("up", flags());

  expect(run.exitCode).not.toBe(0);
  expect(run.output).toMatch(
    /The lock is held by process \d+, which is no longer running: take the lock away with `npm run pulumi -- cancel`/,
  );
});

test("destroy rolls back users whom a killed run made and the state never knew", async () => {
  await killedUp();
  await stack.cancel();
  const made = [...stack.clerk.store.users.values()].filter((user) => user.externalId !== null);
  expect(made.length).toBeGreaterThan(0);

  const run = await npmRun("destroy", flags());

  expect(run.exitCode, run.output).toBe(0);
  expect([...stack.clerk.store.users.values()].filter((user) => user.externalId !== null)).toEqual([]);
  expect(stack.clerk.store.outbox).toEqual([]);
});

test("destroy ends with exit code 1 and says who is left", async () => {
  stack = await startStack();
  await stack.configure({ notify: "none" });
  expect((await stack.up({ MIGRATE_EMAIL: first.email })).exitCode).toBe(0);
  await signIn(stack.clerk.issuer, { identifier: first.email, password: first.password });

  const run = await npmRun("destroy", flags());

  expect(run.exitCode).toBe(1);
  expect(run.output).toContain(`1 users were not rolled back: ${first.userId}.`);
});

test("destroy --user rolls back one user alone, and prints the decision that keeps the next up from doing it again", async () => {
  stack = await startStack();
  const before = await snapshotDatabase(stack.databaseUrl);
  expect((await stack.up()).exitCode).toBe(0);

  const run = await npmRun("destroy", ["--user", first.userId, ...flags()]);

  expect(run.exitCode, run.output).toBe(0);
  const decision = /^\S+:\n {2}skip: rolled back on \d{4}-\d\d-\d\d$/m.exec(run.output)?.[0] ?? "";
  expect(decision).toContain(first.userId);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeUndefined();

  const decisions = join(stack.directory, "decisions.yaml");
  await writeFile(decisions, `${decision}\n`);
  await stack.configure({ decisions });
  expect((await stack.up()).exitCode).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeUndefined();
  expect((await stack.outputs()).summary).toMatchObject({ migrated: 35, excluded: 9, failed: 0 });

  expect((await npmRun("destroy", flags())).exitCode).toBe(0);
  expect(describeDifference(before, await snapshotDatabase(stack.databaseUrl))).toEqual([]);
});

test("a lost state is made anew from the ledger: nobody is created or told twice, and destroy works again", async () => {
  stack = await startStack();
  const before = await snapshotDatabase(stack.databaseUrl);
  expect((await stack.up()).exitCode).toBe(0);
  const users = JSON.stringify([...stack.clerk.store.users.values()]);

  await stack.loseState();
  const run = await stack.up();

  expect(run.exitCode, run.output).toBe(0);
  expect(JSON.stringify([...stack.clerk.store.users.values()])).toBe(users);
  expect(stack.clerk.store.outbox).toHaveLength(36);
  expect((await stack.destroy()).exitCode).toBe(0);
  expect(describeDifference(before, await snapshotDatabase(stack.databaseUrl))).toEqual([]);
});

test("verify exits 0 only while everything holds, and says so where the state is lost", async () => {
  stack = await startStack();
  const verify = (variables?: Record<string, string>) =>
    start("verify", ["--stack", "sandbox", "--config-file", stack.configFile], variables);
  expect((await verify()).exitCode).toBe(1);
  expect((await stack.up()).exitCode).toBe(0);

  const canary = { CANARY_EMAIL: first.email, CANARY_PASSWORD: first.password };
  const holds = await verify(canary);
  expect(holds.exitCode, holds.output).toBe(0);
  expect(holds.output).toMatch(new RegExp(`^ok +verify/canary ${first.userId} `, "m"));
  expect(holds.output).not.toContain(first.password);

  await stack.loseState();
  const lost = await verify();
  expect(lost.exitCode).toBe(1);
  expect(lost.output).toContain("The stack's state lists 0 users, but the ledger holds 36");
});
