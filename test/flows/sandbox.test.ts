import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";

import { expect, test } from "vitest";
import { z } from "zod";

import { findPulumi, pulumiEnvironment } from "../../commands/pulumi-cli/find";

const checkout = resolve(__dirname, "../..");

test("npm run sandbox keeps both systems running, and plain pulumi works with the file it writes", async () => {
  const directory = await mkdtemp(join(tmpdir(), "clerk-migration-env-"));
  const file = join(directory, "sandbox.env");
  const { scripts } = z
    .object({ scripts: z.object({ sandbox: z.string() }) })
    .parse(JSON.parse(await readFile(join(checkout, "package.json"), "utf8")));
  // As npm runs it, for Node itself has an --env-file too.
  const sandbox = spawn("sh", ["-c", `${scripts.sandbox} "$@"`, "sh", "--env-file", file], {
    cwd: checkout,
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    let printed = "";
    await new Promise<void>((ready, failed) => {
      sandbox.stderr.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
        if (printed.includes("Ctrl-C stops both")) ready();
      });
      sandbox.once("close", () => {
        failed(new Error(printed));
      });
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const variables = parseEnv(await readFile(file, "utf8"));

    const cli = await findPulumi();
    const config = join(directory, "config.yaml");
    const pulumi = spawn(cli.binary, ["preview", "--non-interactive", "--config-file", config], {
      cwd: checkout,
      env: { ...process.env, ...variables, ...pulumiEnvironment(cli) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    pulumi.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    await once(pulumi, "close");

    expect(pulumi.exitCode, output).toBe(0);
    expect(output).toContain("44 rows: 36 to create");
  } finally {
    sandbox.removeAllListeners("close");
    sandbox.kill("SIGINT");
    await once(sandbox, "close");
    await rm(directory, { recursive: true });
  }
  expect(sandbox.exitCode).toBe(0);
});
