import { existsSync, readFileSync } from "node:fs";

import { parse } from "yaml";
import { z } from "zod";

import { loadDotEnv, parseSettings, type Settings } from "../providers/settings";
import { askPulumi } from "./pulumi-cli/ask";
import { type SelectedStack, selectStack, type StackChoice } from "./selected-stack";

/** Which stack a command is about. */
export const stackFlags = {
  stack: {
    type: "string",
    short: "s",
    value: "name",
    says: "the stack; else PULUMI_STACK, else the one that is selected",
  },
  "config-file": { type: "string", value: "file", says: "its settings, instead of Pulumi.<stack>.yaml" },
} as const;

export interface ChosenStack extends SelectedStack {
  readonly settings: Settings;
}

const fileSchema = z.object({
  config: z.record(z.string(), z.unknown()).nullish(),
});
const encrypted = z.object({ secure: z.string() });

/** The stack that the flags choose, with its settings. */
export async function settingsOfStack(choice: StackChoice): Promise<ChosenStack> {
  loadDotEnv();
  const selected = await selectStack(choice);
  return { ...selected, settings: await settingsOf(selected) };
}

/**
 * The settings of a stack, without running its program: environment, `.env`, the stack's config file, Pulumi.yaml. Only a
 * value that stands encrypted there, and is not in the environment, needs the CLI.
 */
export async function settingsOf({
  project,
  configFile,
  cliFlags,
  defaults,
}: SelectedStack): Promise<Settings> {
  const text = existsSync(configFile) ? readFileSync(configFile, "utf8") : "";
  const config = fileSchema.nullish().parse(parse(text))?.config ?? {};
  const values: Record<string, string> = { ...defaults };
  const prefix = `${project}:`;
  for (const [key, value] of Object.entries(config)) {
    if (!key.startsWith(prefix)) continue;
    const own = key.slice(prefix.length);
    // Empty where the CLI cannot tell: what is needed is then asked for by name.
    values[own] = encrypted.safeParse(value).success
      ? (await askPulumi(["config", "get", own, ...cliFlags])).text
      : String(value);
  }
  return parseSettings(process.env, {
    values,
    isSecret: (key) => encrypted.safeParse(config[prefix + key]).success,
  });
}
