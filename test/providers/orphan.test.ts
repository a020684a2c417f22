import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";

import { expect, test } from "vitest";

/** A provider with one call under way that goes on, and has much to say, when the engine has ended. */
const provider = `
const { once } = require("node:events");
const { setTimeout: wait } = require("node:timers/promises");
const { z } = require("zod");
const { resourceProvider } = require("./providers/boundary");
// As the SDK has it.
process.on("uncaughtException", (error) => console.warn(error.stack));
const { configure, create } = resourceProvider({
  inputs: z.object({}),
  outputs: z.object({}),
  idOf: () => "1",
  differs: () => false,
  ensure: async () => {
    console.log("at work");
    await once(process.stdin, "end");
    for (let sentence = 0; sentence < 5; sentence++) {
      console.warn("Not told, next up tries again.");
      console.log("Nobody reads this.");
      await wait(100);
    }
    return {};
  },
  delete: async () => undefined,
});
void configure({ config: { get: () => undefined } }).then(() => create({}));
`;

test("a provider whose engine was killed finishes what is under way and exits, though nobody hears it any more", async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "-e", provider], {
    cwd: resolve(__dirname, "../.."),
    env: {
      ...process.env,
      DOTENV_CONFIG_PATH: "/dev/null",
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
      CLERK_SECRET_KEY: "sk_test_none",
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  await once(child.stdout, "data");
  const exited = once(child, "exit");
  const patience = setTimeout(() => child.kill("SIGKILL"), 30_000);

  child.stdout.destroy();
  child.stderr.destroy();
  child.stdin.end();

  await exited;
  clearTimeout(patience);
  expect(child.signalCode).toBeNull();
  expect(child.exitCode).toBe(0);
});
