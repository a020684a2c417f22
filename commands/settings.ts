import { existsSync, readFileSync } from "node:fs";

import { parse } from "yaml";
import { z } from "zod";

import { loadDotEnv, parseSettings, type Settings } from "../providers/settings";
import { runPulumi } from "./pulumi-cli/run";

export const PROJECT = "clerk-migration";

/** For `parseArgs`: which stack a command is about. */
export const stackOptions = {
  stack: { type: "string", short: "s" },
  "config-file": { type: "string" },
} as const;

export interface StackChoice {
  readonly stack?: string | undefined;
  readonly "config-file"?: string | undefined;
}

export interface ChosenStack {
  readonly settings: Settings;
  readonly project: string;
  /** `<project>/<stack>`: whose users they are, in ledger and marks. */
  readonly stack: string;
}

const fileSchema = z.object({
  config: z.record(z.string(), z.unknown()).nullish(),
});
const encrypted = z.object({ secure: z.string() });

/**
 * The settings of a stack, without running its program: environment, `.env`, and the stack's config file. The stack
 * is `--stack`, PULUMI_STACK or dev. Only a value that stands encrypted there, and is not in the environment, needs the CLI.
 */
export async function settingsOfStack(choice: StackChoice): Promise<ChosenStack> {
  loadDotEnv();
  const name = choice.stack ?? (process.env.PULUMI_STACK || "dev");
  const file = choice["config-file"] ?? `Pulumi.${name}.yaml`;
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const config = fileSchema.nullish().parse(parse(text))?.config ?? {};
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    const own = key.startsWith(`${PROJECT}:`) ? key.slice(PROJECT.length + 1) : undefined;
    if (own === undefined) continue;
    values[own] = encrypted.safeParse(value).success ? await decrypted(own, name, file) : String(value);
  }
  const settings = parseSettings(process.env, {
    values,
    isSecret: (key) => encrypted.safeParse(config[`${PROJECT}:${key}`]).success,
  });
  return { settings, project: PROJECT, stack: `${PROJECT}/${name}` };
}

/** Empty where the CLI cannot tell: what is needed is then asked for by name. */
async function decrypted(key: string, stack: string, file: string): Promise<string> {
  let value = "";
  await runPulumi(["config", "get", key, "--stack", stack, "--config-file", file], {
    onOutput: (text) => (value += text),
    onErrors: () => undefined,
  });
  return value.trim();
}
