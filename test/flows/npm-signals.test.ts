import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { type Checkout, openCheckout } from "../checkout";
import { type Stack, startStack } from "./stack";

let stack: Stack;
let checkout: Checkout;
afterEach(async () => {
  await checkout.remove();
  expect(await stack.stop()).toEqual([]);
});

const migrated = () =>
  [...stack.clerk.store.users.values()].filter(({ externalId }) => externalId !== null).length;

/** Files by which a file back end keeps others out. */
async function locks(): Promise<string[]> {
  const files = await readdir(join(stack.directory, "state/.pulumi/locks"), { recursive: true });
  return files.filter((file) => file.endsWith(".json"));
}

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s to npm alone ends the run properly: npm waits for it, the state is written, and the next run goes on",
  async (signal) => {
    let npm: ReturnType<typeof spawn> | undefined;
    stack = await startStack({
      onExchange: () => {
        // Somewhere in the middle, and only once.
        if (migrated() < 3) return;
        npm?.kill(signal);
        npm = undefined;
      },
    });
    await stack.configure({ notify: "none" });
    checkout = await openCheckout(stack.environment);
    const flags = ["--config-file", stack.configFile, "--yes", "--skip-preview", "--parallel", "1"];
    const child = spawn("npm", ["run", "up", "--", ...flags], {
      cwd: checkout.directory,
      env: stack.environment,
      stdio: ["ignore", "pipe", "pipe"],
      // Nobody but npm hears of it.
      detached: true,
    });
    npm = child;
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    const closed = once(child, "close");

    await once(child, "exit");
    expect(await locks(), "npm has ended before the run").toEqual([]);
    await closed;
    expect(child.exitCode, output).not.toBe(0);
    expect(migrated(), output).toBeLessThan(36);
    const listed = await checkout.command("pulumi", ["stack", "export"]);
    expect(listed.output.match(/"type": "pulumi-nodejs:dynamic\/clerk:User"/g)?.length).toBe(migrated());

    const again = await stack.up();
    expect(again.exitCode, again.output).toBe(0);
    expect(migrated()).toBe(36);
  },
);
