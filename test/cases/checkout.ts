import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";

import type { Run, Stack } from "../stack";

/** A copy of the program whose project and stacks may be renamed, between the two systems of a stack. */
export interface Checkout {
  /** `npm run <script> -- <args>`, without npm. */
  run(script: "preview" | "up" | "destroy" | "pulumi", ...args: readonly string[]): Promise<Run>;
  /** What somebody does who edits `name:` in Pulumi.yaml. */
  renameProject(name: string): Promise<void>;
  remove(): Promise<void>;
}

/** What neither the program nor its scripts need. */
const left: readonly string[] = [".git", "node_modules", "test", "docs", "examples"];

const scripts = {
  preview: ["commands/run.ts", "preview"],
  up: ["commands/run.ts", "up"],
  destroy: ["commands/run.ts", "destroy"],
  pulumi: ["commands/pulumi.ts"],
} as const;

export async function openCheckout(stack: Stack): Promise<Checkout> {
  const directory = await mkdtemp(join(tmpdir(), "clerk-migration-checkout-"));
  const root = process.cwd();
  await cp(root, directory, {
    recursive: true,
    filter: (path) => !left.includes(relative(root, path).split(sep)[0] ?? ""),
  });
  await symlink(join(root, "node_modules"), join(directory, "node_modules"));
  return {
    async run(script, ...args) {
      const child = spawn(process.execPath, ["--import", "tsx", ...scripts[script], ...args], {
        cwd: directory,
        // The stacks here have names of their own.
        env: { ...stack.environment, PULUMI_STACK: "" },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => (output += text));
      await once(child, "close");
      return { exitCode: child.exitCode, output };
    },
    async renameProject(name) {
      const file = join(directory, "Pulumi.yaml");
      const text = await readFile(file, "utf8");
      await writeFile(file, text.replace(/^name: .*$/m, `name: ${name}`));
    },
    remove: () => rm(directory, { recursive: true, force: true, maxRetries: 3 }),
  };
}
