import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";

import { sampleUsers } from "../../sandbox/sample-users";
import { type Checkout, openCheckout } from "../checkout";
import { type Stack, startStack } from "./stack";

let stack: Stack;
let checkout: Checkout;
beforeEach(async () => {
  stack = await startStack();
  // The environment names no stack (an empty name would be one, for Pulumi), and the back end is empty.
  const unnamed = Object.entries(stack.environment).filter(([name]) => name !== "PULUMI_STACK");
  const environment = Object.fromEntries(unnamed);
  const state = join(stack.directory, "selected");
  await mkdir(state);
  checkout = await openCheckout({ ...environment, PULUMI_BACKEND_URL: `file://${state}` });
});
afterEach(async () => {
  await checkout.remove();
  expect(await stack.stop()).toEqual([]);
});

async function pulumi(...args: readonly string[]): Promise<void> {
  const { exitCode, output } = await checkout.command("pulumi", [...args, "--non-interactive"]);
  expect(exitCode, output).toBe(0);
}

/** A stack whose plan takes on so many users, which tells it from the others. */
async function make(name: string, limit: number, directory = "", project = "clerk-migration"): Promise<void> {
  await pulumi("stack", "init", name);
  await pulumi("config", "set", "limit", limit.toString(), "--stack", name);
  const file = join(checkout.directory, directory, `Pulumi.${name}.yaml`);
  await writeFile(file, `config:\n  ${project}:limit: "${limit.toString()}"\n`);
}

/** The users in Clerk whom a run has made. */
const migrated = () => [...stack.clerk.store.users.values()].filter(({ externalId }) => externalId !== null);

/** How many users the plan takes on. */
async function planned(
  args: readonly string[] = [],
  variables: Record<string, string> = {},
): Promise<number> {
  const { exitCode, output } = await checkout.command("plan", ["--json", ...args], variables);
  expect(exitCode, output).toBe(0);
  return z.object({ counts: z.looseObject({ create: z.number() }) }).parse(JSON.parse(output)).counts.create;
}

/** Every command that is about a stack, as npm starts it. */
const commands: readonly (readonly [string, ...string[]])[] = [
  ["doctor"],
  ["plan"],
  ["verify"],
  ["gate", "--for", "legacy-off"],
  ["report"],
  ["history"],
  ["export", "--what", "failed"],
  ["purge"],
  ["rotate-seal-key"],
  ["mail", "--print"],
  ["run", "preview"],
  ["run", "up", "--yes"],
  ["run", "up", "--yes", "--until-done"],
  ["run", "refresh", "--yes"],
  ["run", "destroy", "--yes"],
  ["run", "destroy", "--yes", "--user", "1"],
];

/** Each of them ends with these sentences, which doctor puts into a table, and without a stack trace. */
async function everyCommand(variables: Record<string, string>, sentences: readonly string[]): Promise<void> {
  const left = [...commands];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [name, ...args] = next;
      const { exitCode, output } = await checkout.command(name, args, variables);
      expect(exitCode, `${name}: ${output}`).toBe(1);
      for (const sentence of sentences) expect(output, next.join(" ")).toContain(sentence);
      expect(output, name).not.toMatch(/^\s+at /m);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
}

test("a command is about the selected stack, unless PULUMI_STACK or --stack names another", async () => {
  await make("one", 1);
  await make("two", 2);
  await make("three", 3);

  await pulumi("stack", "select", "one");
  expect(await planned()).toBe(1);
  await pulumi("stack", "select", "two");
  expect(await planned()).toBe(2);
  expect(await planned([], { PULUMI_STACK: "one" })).toBe(1);
  expect(await planned(["--stack", "three"], { PULUMI_STACK: "one" })).toBe(3);
  expect(await planned(["-s", "organization/clerk-migration/three"])).toBe(3);
  expect(await planned([], { PULUMI_STACK: "organization/one" })).toBe(1);

  await pulumi("stack", "rename", "renamed");
  expect(await planned()).toBe(2);
  const history = await checkout.command("history", []);
  expect(history.output).toContain("so nothing is known here of clerk-migration/renamed.");
});

test("the scripts of Pulumi's verbs and their own look into the ledger are about the same stack", async () => {
  await make("one", 1);
  await make("two", 2);
  await pulumi("stack", "select", "one");

  const up = await checkout.command("run", [
    "up",
    "--yes",
    "--skip-preview",
    "--stack",
    "organization/clerk-migration/two",
  ]);
  expect(up.exitCode, up.output).toBe(0);
  expect(migrated()).toHaveLength(2);
  const runs = await checkout.command("history", ["--stack", "two", "--json"]);
  expect(runs.exitCode, runs.output).toBe(0);
  expect(JSON.parse(runs.output)).toHaveLength(1);
  const none = await checkout.command("history", []);
  expect(none.output).toContain("The ledger knows of no run of clerk-migration/one.");

  const destroy = await checkout.command("run", ["destroy", "--yes", "--skip-preview", "-s=two"]);
  expect(destroy.exitCode, destroy.output).toBe(0);
  expect(migrated()).toEqual([]);
});

test("the project's name, and where its stacks' settings are, come from Pulumi.yaml", async () => {
  await mkdir(join(checkout.directory, "stacks"));
  await checkout.project({ name: "their-users", stackConfigDir: "stacks" });
  await make("one", 1, "stacks", "their-users");

  expect(await planned()).toBe(1);
  const history = await checkout.command("history", []);
  expect(history.output).toContain("so nothing is known here of their-users/one.");
  const elsewhere = join(checkout.directory, "elsewhere.yaml");
  await rename(join(checkout.directory, "stacks", "Pulumi.one.yaml"), elsewhere);
  // A stack without a config file is as good as any: its settings are the defaults.
  expect(await planned()).toBe(36);
  expect(await planned(["--config-file", elsewhere])).toBe(1);

  const preview = await checkout.command("run", ["preview", "--config-file", elsewhere]);
  expect(preview.exitCode, preview.output).toBe(0);
  expect(preview.output).toContain("1 to create");

  await checkout.project({ name: "renamed" });
  const other = await checkout.command("plan", ["--stack", "organization/their-users/one"]);
  expect(other.exitCode).toBe(1);
  expect(other.output).toContain("is one of the project their-users, but Pulumi.yaml names renamed.");
});

test("every command refuses a stack that does not exist, and lists those that do", async () => {
  await make("one", 1);
  await make("two", 2);
  // A file that somebody forgot is no stack.
  await writeFile(join(checkout.directory, "Pulumi.gone.yaml"), "config: {}\n");
  await everyCommand({ PULUMI_STACK: "gone" }, [
    "There is no stack gone",
    "Those of this project: one, two.",
    "Name one of them with --stack",
  ]);
  expect(migrated()).toEqual([]);
});

test("every command says in a sentence that no stack is selected, and what to do", async () => {
  await everyCommand({}, [
    "No stack is selected. This project has no stack yet.",
    "Make one with `npm run pulumi -- stack init dev`.",
  ]);
  await make("one", 1);
  await pulumi("stack", "unselect");
  const unselected = await checkout.command("plan", []);
  expect(unselected.output).toBe(
    "No stack is selected. Those of this project: one. Choose one with `npm run pulumi -- stack select <name>`, or name it with --stack.\n",
  );
});

test("without a back end to ask, a stack is one that has a config file", async () => {
  const away = { PULUMI_BACKEND_URL: "", PULUMI_HOME: join(checkout.directory, "empty") };
  await writeFile(join(checkout.directory, "Pulumi.one.yaml"), 'config:\n  clerk-migration:limit: "1"\n');
  expect(await planned(["--stack", "one"], away)).toBe(1);
  for (const args of [["--stack", "two"], []]) {
    const { exitCode, output } = await checkout.command("plan", args, away);
    expect(exitCode).toBe(1);
    expect(output).toContain("Log in with `npm run pulumi -- login`");
  }
});

test("a rollback with the program is refused before Pulumi starts, by flag and by variable", async () => {
  await make("one", 1);
  const [flag, variable] = [
    await checkout.command("run", ["destroy", "--yes", "--run-program"]),
    await checkout.command("run", ["destroy", "--yes"], { PULUMI_RUN_PROGRAM: "true" }),
  ];
  for (const { exitCode, output } of [flag, variable]) {
    expect(exitCode).toBe(1);
    expect(output).toMatch(/^A rollback runs without the program, so \S+ is refused\./);
    expect(output).not.toContain("Destroying");
  }
});

test("destroy --user says whom it cannot mean, without an address and without touching anybody", async () => {
  await make("one", 1);
  const up = await checkout.command("run", ["up", "--yes", "--skip-preview"]);
  expect(up.exitCode, up.output).toBe(0);
  const [taken, later] = sampleUsers.filter(({ clerkUserId }) => clerkUserId === null);
  if (taken === undefined || later === undefined) throw new Error("the sample has no legacy users");
  const before = JSON.stringify([...stack.clerk.store.users.values()]);
  const destroy = async (...args: readonly string[]) => {
    const { exitCode, output } = await checkout.command("run", [
      "destroy",
      "--yes",
      "--skip-preview",
      ...args,
    ]);
    expect(exitCode, output).toBe(1);
    expect(output).not.toContain("@");
    return output;
  };

  expect(await destroy("--user", "nosuch")).toContain("clerk-migration/one has migrated no user nosuch");
  expect(await destroy("--user", later.userId)).toContain(`has migrated no user ${later.userId}`);
  expect(await destroy("--user", taken.email.toUpperCase())).toContain(
    `It stands in the row of user_id ${taken.userId}`,
  );
  expect(await destroy("--user", "nobody@example.org")).toContain("That is an address, and of no row");
  for (const args of [["--user"], ["--user="], ["--user", "--yes"]])
    expect(await destroy(...args)).toContain("--user needs a user_id.");
  expect(JSON.stringify([...stack.clerk.store.users.values()])).toBe(before);
});
