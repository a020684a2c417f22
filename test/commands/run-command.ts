import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { clerkSettings } from "../../sandbox/sandbox";
import { sandboxEnvironment } from "../../sandbox/workspace";
import type { TestSystems } from "../systems";

export interface CommandRun {
  readonly exitCode: number | null;
  /** Standard output alone. */
  readonly printed: string;
  /** Both, as they came. */
  readonly output: string;
}

interface Around {
  /** Of the stack. */
  readonly config?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs `npm run <name>` without npm, on the stack `test` of these systems. */
export async function runCommand(
  on: TestSystems,
  name: string,
  args: readonly string[] = [],
  { config = {}, environment = {} }: Around = {},
): Promise<CommandRun> {
  const directory = await mkdtemp(join(tmpdir(), "clerk-migration-command-"));
  try {
    const file = join(directory, "Pulumi.test.yaml");
    const lines = Object.entries({ bypassDeviceTrust: "true", ...config }).map(
      ([key, value]) => `  clerk-migration:${key}: ${value}`,
    );
    await writeFile(file, `config:\n${lines.join("\n")}\n`);
    const child = spawn(
      process.execPath,
      ["--import", "tsx", `commands/${name}.ts`, "--stack", "test", "--config-file", file, ...args],
      {
        env: sandboxEnvironment(process.env, {
          ...clerkSettings(on.database.url, on.clerk),
          // Logged in nowhere: the stack is known by its config file.
          PULUMI_HOME: directory,
          ...environment,
        }),
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let [printed, output] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    await once(child, "close");
    return { exitCode: child.exitCode, printed, output };
  } finally {
    await rm(directory, { recursive: true });
  }
}
