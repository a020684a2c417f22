import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { parseDocument } from "yaml";
import { z } from "zod";

import { findPulumi, pulumiEnvironment } from "../commands/pulumi-cli/find";
import { type ClerkOptions, type Exchange, type LocalClerk, startClerk } from "../sandbox/clerk/server";
import { addEarlierUsers } from "../sandbox/earlier-users";
import { createDatabase, dropDatabase } from "../sandbox/postgres";
import { loadSample } from "../sandbox/sample-users";
import { clerkSettings } from "../sandbox/sandbox";
import { createWorkspace, sandboxEnvironment, sandboxStack } from "../sandbox/workspace";
import { contractProblems } from "./clerk-contract";

export interface Run {
  readonly exitCode: number | null;
  /** Standard output and standard error, as a person sees them. */
  readonly output: string;
}

type Variables = Readonly<Record<string, string>>;

/** A stack of its own between a database and a local Clerk of its own, driven by the real CLI. */
export interface Stack {
  readonly databaseUrl: string;
  readonly clerk: LocalClerk;
  /** Holds state, Pulumi home and config. */
  readonly directory: string;
  readonly configFile: string;
  readonly environment: Variables;
  /** Where Pulumi's file back end keeps the state. */
  stateFile(): string;
  /** Runs Pulumi in the checkout, as CI would. A variable set to "" is as good as unset. */
  pulumi(args: readonly string[], variables?: Variables): Promise<Run>;
  /** Loses the stack's state, and makes a new stack of the same name. */
  loseState(): Promise<void>;
  /** Without the project. */
  name(): string;
  /** `pulumi stack rename`: every later command is about the stack of the new name. */
  rename(name: string): Promise<void>;
  /** What `pulumi cancel` does after a killed run: takes the lock away. */
  cancel(): Promise<Run>;
  /** `pulumi state …`, which knows no config file. */
  state(...args: readonly string[]): Promise<Run>;
  /** The state as text; with what is encrypted in it only where asked for. */
  exportState(...options: readonly "--show-secrets"[]): Promise<string>;
  importState(state: string): Promise<void>;
  up(variables?: Variables): Promise<Run>;
  destroy(variables?: Variables): Promise<Run>;
  configure(values: Variables): Promise<void>;
  outputs(): Promise<Outputs>;
  /** Also answers what Clerk's own reference has against any exchange of this stack. */
  stop(): Promise<string[]>;
}

const outputsSchema = z.object({
  counts: z.object({ total: z.number(), linked: z.number(), legacy: z.number(), withPassword: z.number() }),
  summary: z.object({
    processed: z.number(),
    migrated: z.number(),
    adopted: z.number(),
    failed: z.number(),
    blocked: z.number(),
    excluded: z.number(),
  }),
  funnel: z.record(z.string(), z.number()),
  failed: z.array(z.object({ userId: z.string(), reason: z.string(), remedy: z.string() })),
  blocked: z.array(z.object({ userId: z.string(), reason: z.string(), remedy: z.string() })),
  notifications: z.object({
    sent: z.number(),
    rehearsed: z.number(),
    failed: z.number(),
    unknown: z.number(),
    pending: z.number(),
    failures: z.array(z.object({ userId: z.string(), reason: z.string(), remedy: z.string() })),
  }),
});

export type Outputs = z.infer<typeof outputsSchema>;

export interface StackOptions extends ClerkOptions {
  /** Fills the empty database. @default the 44 sample users */
  readonly load?: (databaseUrl: string) => Promise<void>;
  /** Sees each Pulumi process as it starts. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Clerk's development limit would make every flow wait; these tests are about something else. */
const FAST = "100000";

/** On the Postgres server that `adminUrl` leads to. */
export async function openStack(adminUrl: string, options: StackOptions = {}): Promise<Stack> {
  const { load = loadSample, onStart, onExchange, ...clerkOptions } = options;
  const databaseUrl = await createDatabase(adminUrl);
  await load(databaseUrl);
  const exchanges: Exchange[] = [];
  const clerk = await startClerk({
    enforceLimits: false,
    onExchange: (exchange) => {
      exchanges.push(exchange);
      onExchange?.(exchange);
    },
    ...clerkOptions,
  });
  addEarlierUsers(clerk.store);
  const workspace = await createWorkspace();
  const cli = await findPulumi();
  const environment = sandboxEnvironment(process.env, {
    ...workspace.environment,
    ...clerkSettings(databaseUrl, clerk),
    NO_COLOR: "1",
    ...pulumiEnvironment(cli),
  });

  async function run(args: readonly string[], variables: Variables): Promise<Run> {
    const child = spawn(cli.binary, [...args, "--non-interactive"], {
      env: { ...environment, PULUMI_STACK: name, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onStart?.(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    await once(child, "close");
    return { exitCode: child.exitCode, output };
  }

  let name = sandboxStack;
  const configFile = () => join(workspace.directory, `Pulumi.${name}.yaml`);
  const pulumi = (args: readonly string[], variables: Variables = {}) =>
    run([...args, "--config-file", configFile()], variables);
  /** Where a project of the same name, and the config, are found. */
  const aboutStack = async (...args: readonly string[]) => {
    const { exitCode, output } = await run(["stack", ...args, "--cwd", workspace.directory], {
      PULUMI_STACK: "",
    });
    if (exitCode !== 0) throw new Error(output);
  };
  const init = () => aboutStack("init", name);
  await init();

  const configure = async (values: Variables) => {
    const document = parseDocument(await readFile(configFile(), "utf8"));
    for (const [key, value] of Object.entries(values))
      document.setIn(["config", `clerk-migration:${key}`], value);
    await writeFile(configFile(), document.toString());
  };
  await configure({ clerkRequestsPer10s: FAST });

  const changing = [
    "--yes",
    "--skip-preview",
    "--suppress-progress",
    "--continue-on-error",
    "--parallel",
    "30",
  ];
  return {
    databaseUrl,
    clerk,
    directory: workspace.directory,
    get configFile() {
      return configFile();
    },
    environment,
    stateFile: () => join(workspace.directory, `state/.pulumi/stacks/clerk-migration/${name}.json`),
    pulumi,
    async loseState() {
      await rm(join(workspace.directory, "state/.pulumi"), { recursive: true });
      await init();
    },
    name: () => name,
    async rename(given) {
      await aboutStack("rename", given, "--stack", name);
      name = given;
    },
    cancel: () => run(["cancel", "--yes"], {}),
    state: (...args) => run(["state", ...args, "--yes"], {}),
    async exportState(...options) {
      const { exitCode, output } = await run(["stack", "export", ...options], {});
      if (exitCode !== 0) throw new Error(output);
      return output;
    },
    async importState(state) {
      const file = join(workspace.directory, "imported.json");
      await writeFile(file, state);
      const { exitCode, output } = await run(["stack", "import", "--file", file], {});
      await rm(file);
      if (exitCode !== 0) throw new Error(output);
    },
    up: (variables) => pulumi(["up", ...changing], variables),
    destroy: (variables) => pulumi(["destroy", ...changing], variables),
    configure,
    async outputs() {
      const { output } = await run(["stack", "output", "--json"], {});
      return outputsSchema.parse(JSON.parse(output));
    },
    async stop() {
      await Promise.all([clerk.stop(), workspace.remove()]);
      await dropDatabase(adminUrl, databaseUrl);
      return contractProblems(exchanges);
    },
  };
}
