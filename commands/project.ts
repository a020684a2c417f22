import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";
import { z } from "zod";

import { MigrationError } from "../providers/errors";

/** What Pulumi.yaml says of the project. */
export interface Project {
  /** The first half of whose users they are, in ledger and marks, and the prefix of every key of stack config. */
  readonly name: string;
  /** Holds the stacks' config files. */
  readonly configDirectory: string;
  /** What a setting is where the stack says nothing. */
  readonly defaults: Readonly<Record<string, string>>;
}

const FILE = "Pulumi.yaml";

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const schema = z.object({
  name: z.string().min(1),
  stackConfigDir: z.string().default(""),
  config: z
    .record(
      z.string(),
      z.union([scalar, z.looseObject({ default: scalar.nullish(), value: scalar.nullish() })]),
    )
    .nullish(),
});

/** Of the directory that the command runs in, which for an npm script is the checkout. */
export function readProject(directory: string = process.cwd()): Project {
  const file = join(directory, FILE);
  const parsed = schema.safeParse(existsSync(file) ? parse(readFileSync(file, "utf8")) : null);
  if (!parsed.success)
    throw new MigrationError(
      "project",
      `${FILE} is missing, or does not say the project's name.`,
      "Run the command in the checkout, and give the project a `name:` there.",
    );
  const { name, stackConfigDir, config } = parsed.data;
  const defaults = Object.entries(config ?? {}).flatMap(([key, said]) => {
    const value = typeof said === "object" ? (said.value ?? said.default) : said;
    const own = key.startsWith(`${name}:`) ? key.slice(name.length + 1) : key;
    return value == null || own.includes(":") ? [] : [[own, String(value)]];
  });
  return {
    name,
    configDirectory: join(directory, stackConfigDir),
    defaults: z.record(z.string(), z.string()).parse(Object.fromEntries(defaults)),
  };
}
