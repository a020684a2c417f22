import { parseArgs } from "node:util";

import { MigrationError } from "../providers/errors";
import { explainDatabaseError } from "../providers/postgres/database";
import { nearest } from "./nearest";
import { NoPulumi } from "./pulumi-cli/find";

export interface Flag {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly default?: string | boolean;
  /** What stands for the value in the help, e.g. `file`. */
  readonly value?: string;
  /** What it does, in half a sentence. */
  readonly says: string;
}

export type Flags = Readonly<Record<string, Flag>>;

export interface Description<T extends Flags> {
  /** How npm starts it: `npm run <name>`, or `npm start`. */
  readonly usage: string;
  /** What it does, in a sentence. */
  readonly says: string;
  readonly flags: T;
  /** What stands there without a flag, e.g. `user_id`. */
  readonly operand?: string;
}

type Parsed<T extends Flags> = ReturnType<typeof parseArgs<{ args: string[]; options: T; strict: true }>>;

/** Runs what an npm script starts, with its flags, and answers `--help`. */
export async function command<const T extends Flags>(
  description: Description<T>,
  main: (values: Parsed<T>["values"], operands: readonly string[]) => Promise<number>,
): Promise<void> {
  await withExitCode((args) => {
    if (args.includes("--help") || args.includes("-h")) {
      process.stdout.write(helpOf(description));
      return Promise.resolve(0);
    }
    const { values, operands } = parseFlags(description, args);
    return main(values, operands);
  });
}

/** The process's exit code is what `main` answers, and expected failures are a sentence. */
export async function withExitCode(main: (args: readonly string[]) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (thrown) {
    const error = explainDatabaseError(thrown);
    if (!(error instanceof MigrationError || error instanceof NoPulumi)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

function parseFlags<T extends Flags>(
  description: Description<T>,
  args: readonly string[],
): { values: Parsed<T>["values"]; operands: readonly string[] } {
  const { flags, operand, usage } = description;
  const { tokens } = parseArgs({
    args: [...args],
    options: flags,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "positional" && operand === undefined)
      throw usageError(usage, `${usage} takes no ${token.value}.`, flagLike(token.value, flags));
    if (token.kind !== "option") continue;
    const flag = flags[token.name];
    if (flag === undefined)
      throw usageError(usage, `${usage} has no flag ${token.rawName}.`, flagLike(token.name, flags));
    if (flag.type === "string" && (token.value === undefined || token.value === ""))
      throw usageError(
        usage,
        `${token.rawName} needs a value.`,
        `${token.rawName} <${flag.value ?? "value"}>`,
      );
    if (flag.type === "boolean" && token.value !== undefined)
      throw usageError(usage, `${token.rawName} takes no value.`, token.rawName);
  }
  const { values, positionals } = parseArgs({
    args: [...args],
    options: flags,
    allowPositionals: operand !== undefined,
  });
  return { values, operands: positionals };
}

function flagLike(word: string, flags: Flags): string | undefined {
  const found = nearest(word, Object.keys(flags));
  return found === undefined ? undefined : `--${found}`;
}

function usageError(usage: string, reason: string, suggestion: string | undefined): MigrationError {
  const all = `\`${usage} -- --help\` lists the flags.`;
  return new MigrationError("usage", reason, suggestion === undefined ? all : `Say ${suggestion}; ${all}`);
}

/** What `--help` prints. */
export function helpOf({ usage, says, flags, operand }: Description<Flags>): string {
  const named = Object.entries(flags).map(([name, flag]) => ({
    left: `${flag.short === undefined ? "" : `-${flag.short}, `}--${name}${flag.type === "string" ? ` <${flag.value ?? "value"}>` : ""}`,
    says:
      flag.default === undefined || flag.default === false
        ? flag.says
        : `${flag.says} (${flag.default.toString()})`,
  }));
  const width = Math.max(0, ...named.map(({ left }) => left.length));
  const lines = named.map((flag) => `  ${flag.left.padEnd(width)}  ${flag.says}`);
  const call = [usage, ...(operand === undefined && lines.length === 0 ? [] : ["--"])];
  if (operand !== undefined) call.push(`[<${operand}>]`);
  if (lines.length > 0) call.push("[flags]");
  return `${[call.join(" "), "", says, ...(lines.length === 0 ? [] : ["", ...lines])].join("\n")}\n`;
}

/** Keeps the process alive until somebody ends it, with Ctrl-C or otherwise. */
export async function interrupted(): Promise<void> {
  const alive = setInterval(() => undefined, 2 ** 30);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
  clearInterval(alive);
}
