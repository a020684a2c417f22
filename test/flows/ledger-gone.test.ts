import { afterEach, beforeEach, expect, test } from "vitest";

import { connected } from "../../sandbox/postgres";
import { type Checkout, openCheckout } from "../checkout";
import { type Stack, startStack } from "./stack";

let stack: Stack;
let checkout: Checkout;
beforeEach(async () => {
  stack = await startStack();
  await stack.configure({ notify: "none", limit: "3" });
  checkout = await openCheckout(stack.environment);
  expect((await stack.up()).exitCode).toBe(0);
});
afterEach(async () => {
  await checkout.remove();
  expect(await stack.stop()).toEqual([]);
});

const run = (...args: readonly string[]) =>
  checkout.command("run", [...args, "--config-file", stack.configFile, "--yes", "--skip-preview"]);
const query = (text: string) => connected(stack.databaseUrl, (client) => client.query(text));
const migrated = () =>
  [...stack.clerk.store.users.values()].filter(({ externalId }) => externalId !== null).map(({ id }) => id);

test("no verb that writes touches anybody where part of the ledger is gone, and each says so", async () => {
  const before = migrated();
  await query("drop table clerk_migration.users cascade");
  for (const args of [["destroy"], ["destroy", "--user", "1"], ["up"], ["up", "--until-done"]]) {
    const { exitCode, output } = await run(...args);
    expect(exitCode, output).not.toBe(0);
    expect(output, args.join(" ")).toContain("Part of the ledger (schema clerk_migration) is gone: users.");
    expect(output).not.toMatch(/^\s*(error: )?relation /m);
  }
  expect(migrated()).toEqual(before);
});

test("destroy --user finds in the state whom a lost ledger does not know", async () => {
  await query("truncate clerk_migration.users cascade");
  const [userId = ""] = [...stack.clerk.store.users.values()].flatMap(({ externalId }) => externalId ?? []);
  const { output } = await run("destroy", "--user", userId);
  expect(output).not.toContain("has migrated no user");
  expect(output).toMatch(/clerk:User|destroy/i);
});

test("destroy does not call it done where Clerk still has people whom neither ledger nor state knows", async () => {
  await query("truncate clerk_migration.users cascade");
  await stack.loseState();
  const before = migrated();
  const { exitCode, output } = await run("destroy");
  // Taken up and rolled back, or named: never left behind in silence.
  if (migrated().length === 0) expect(exitCode, output).toBe(0);
  else {
    expect(exitCode, output).toBe(1);
    expect(output).toContain("does not know 3 users whom this stack has made");
    expect(migrated()).toEqual(before);
  }
});
