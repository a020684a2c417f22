import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { parseDocument } from "yaml";

import type { Run } from "./stack";

type Variables = Readonly<Record<string, string>>;

/** This checkout under a path of its own, whose Pulumi.yaml and stack files can be others. */
export interface Checkout {
  readonly directory: string;
  /** Changes Pulumi.yaml. */
  project(values: Variables): Promise<void>;
  /** Runs what the npm script `name` starts. */
  command(name: string, args: readonly string[], variables?: Variables): Promise<Run>;
  remove(): Promise<void>;
}

const root = resolve(__dirname, "..");

export async function openCheckout(environment: Variables): Promise<Checkout> {
  const directory = await mkdtemp(join(tmpdir(), "clerk-migration-checkout-"));
  for (const entry of await readdir(root)) {
    if (!/^(\.|Pulumi\.)/.test(entry)) await symlink(join(root, entry), join(directory, entry));
  }
  const file = join(directory, "Pulumi.yaml");
  await writeFile(file, await readFile(join(root, "Pulumi.yaml"), "utf8"));
  return {
    directory,
    async project(values) {
      const document = parseDocument(await readFile(file, "utf8"));
      for (const [key, value] of Object.entries(values)) document.set(key, value);
      await writeFile(file, document.toString());
    },
    async command(name, args, variables = {}) {
      const child = spawn(process.execPath, ["--import", "tsx", `commands/${name}.ts`, ...args], {
        cwd: directory,
        env: { ...environment, ...variables },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => (output += text));
      }
      await once(child, "close");
      return { exitCode: child.exitCode, output };
    },
    remove: () => rm(directory, { recursive: true }),
  };
}
