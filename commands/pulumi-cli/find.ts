import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

import { cachedRoots, writableRoot } from "./cache";
import { hasNodePlugins, isComplete, onPath } from "./executables";
import type { InstallOptions } from "./install";
import { asError, installPulumi, NoPulumi } from "./install";
import { isAtLeast, PULUMI_VERSION, versionOf } from "./versions";

export { NoPulumi };

export interface PulumiCli {
  readonly binary: string;
  /** Holds the binary. The Automation API's `root` is the folder above. */
  readonly directory: string;
  readonly version: string;
  readonly origin: "path" | "cache" | "release" | "built";
}

/** By default the environment and standard error of this process, and the Automation API's installer. */
export type FindOptions = Partial<InstallOptions>;

/** The one on PATH if it will do, else the one in our cache, else a new one there. Throws `NoPulumi`. */
export async function findPulumi(options: FindOptions = {}): Promise<PulumiCli> {
  const { environment = process.env, terminal = process.stderr, downloadRelease = installRelease } = options;
  const ambient = await pulumiOnPath(environment);
  if (ambient !== undefined) return ambient;

  for (const root of await cachedRoots(environment)) {
    if (await isComplete(join(root, "bin"))) return installed(root, "cache");
  }
  try {
    const root = await writableRoot(environment);
    const origin = await installPulumi(root, { environment, terminal, downloadRelease });
    return installed(root, origin);
  } catch (error) {
    // E.g. no place that can be written, or a disk that is full.
    throw error instanceof NoPulumi ? error : new NoPulumi([asError(error)]);
  }
}

/** What a process needs to run that CLI, or to be run by it, on top of what it has. */
export function pulumiEnvironment(
  cli: PulumiCli,
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const path = environment.PATH ?? "";
  return {
    // A CLI from PATH is there already; its folder in front might change which `node` runs.
    PATH: cli.origin === "path" ? path : `${cli.directory}${delimiter}${path}`,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    ...(isBuilt(cli) ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
  };
}

async function pulumiOnPath(environment: NodeJS.ProcessEnv): Promise<PulumiCli | undefined> {
  const binary = await onPath("pulumi", environment);
  if (binary === undefined || !(await hasNodePlugins(binary, environment))) return undefined;
  // One that does not even tell its version is no use.
  const version = await versionOf(binary, environment).catch(() => "");
  if (!isAtLeast(version, PULUMI_VERSION)) return undefined;
  return { binary, directory: dirname(binary), version, origin: "path" };
}

function installed(root: string, origin: PulumiCli["origin"]): PulumiCli {
  const directory = join(root, "bin");
  return { binary: join(directory, "pulumi"), directory, version: PULUMI_VERSION, origin };
}

/** Where only Go modules could be downloaded there are no plugins to be had either. */
function isBuilt(cli: PulumiCli): boolean {
  return existsSync(join(cli.directory, "pulumi-language-nodejs-host"));
}

/** Without a version it is the SDK's own, which is `PULUMI_VERSION`. */
async function installRelease(root: string): Promise<void> {
  // Loaded here, for it takes longer than all the rest of a search.
  const { PulumiCommand } = await import("@pulumi/pulumi/automation");
  await PulumiCommand.install({ root });
}
