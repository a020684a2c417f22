import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { buildPulumi } from "./build";
import { isComplete } from "./executables";
import type { Lock } from "./lock";
import { takeLock } from "./lock";
import type { Progress, Terminal } from "./progress";
import { startProgress } from "./progress";
import { GO_VERSION, PULUMI_VERSION, versionOf } from "./versions";

export interface InstallOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  /** Puts the official release into `root`/bin. */
  readonly downloadRelease: (root: string) => Promise<void>;
}

/** Who made the installation: somebody else while we waited, the release, or a build here. */
export type Installed = "cache" | "release" | "built";

/** There is no Pulumi CLI and no way to get one; the message names the ways out. */
export class NoPulumi extends Error {
  constructor(reasons: readonly Error[]) {
    super(
      `There is no Pulumi CLI ${PULUMI_VERSION} or newer on PATH with its Node language host, and none could be had ` +
        `(${reasons.map(({ message }) => message).join("; ")}): install Pulumi from ` +
        `https://www.pulumi.com/docs/install, or Go ${GO_VERSION} or newer to build it with, or add the one you have to PATH.`,
      { cause: reasons },
    );
    this.name = "NoPulumi";
  }
}

/** The signals that end a command, and what a terminal sends when it is closed. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const WORKSPACE = ".partial";

/** Leaves a complete installation at `root`, or none. Safe to run twice at once, and to kill. */
export async function installPulumi(root: string, options: InstallOptions): Promise<Installed> {
  return stoppedBySignals(async (signal) => {
    const lock = await lockOrInstalled(root, { ...options, signal });
    if (lock === undefined) return "cache";
    const workspace = `${root}.${lock.token}${WORKSPACE}`;
    try {
      await removeLeftovers(root);
      await mkdir(workspace);
      const [made, from] = await make(workspace, { ...options, signal });
      await publish(made, root);
      options.terminal.write(`The Pulumi CLI ${PULUMI_VERSION} is in ${root} from now on.\n`);
      return from;
    } finally {
      await removeTree(workspace);
      await lock.release();
    }
  });
}

interface Making extends InstallOptions {
  readonly signal: AbortSignal;
}

/** Undefined once an installation is there: the one who had the lock has made it. */
async function lockOrInstalled(root: string, options: Making): Promise<Lock | undefined> {
  let progress: Progress | undefined;
  try {
    return await takeLock(`${root}.lock`, {
      isOver: () => {
        options.signal.throwIfAborted();
        return isComplete(join(root, "bin"));
      },
      onWait: (owner) => {
        const who = owner === undefined ? "another process" : `process ${owner.pid}`;
        progress ??= startProgress(
          options.terminal,
          `Waiting for ${who}, which installs the Pulumi CLI`,
          options.environment,
        );
      },
    });
  } finally {
    progress?.stop();
  }
}

/** The release if it can be downloaded, else a build. */
async function make(workspace: string, options: Making): Promise<[root: string, from: Installed]> {
  const reasons: Error[] = [];
  for (const [from, way] of [
    ["release", download],
    ["built", buildPulumi],
  ] as const) {
    try {
      const root = await way(workspace, options);
      await requireWorking(root, options.environment);
      return [root, from];
    } catch (error) {
      options.signal.throwIfAborted();
      reasons.push(asError(error));
    }
  }
  throw new NoPulumi(reasons);
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

async function download(workspace: string, options: Making): Promise<string> {
  const root = join(workspace, "release");
  const title = `Downloading the Pulumi CLI ${PULUMI_VERSION}, once`;
  const progress = startProgress(options.terminal, title, options.environment);
  try {
    await Promise.race([options.downloadRelease(root), abortOf(options.signal)]);
    return root;
  } finally {
    progress.stop();
  }
}

/** Rejects when the signal does, and never otherwise. */
function abortOf(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(new Error("stopped by a signal"));
    });
  });
}

async function requireWorking(root: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const directory = join(root, "bin");
  if (!(await isComplete(directory))) throw new Error("what was installed lacks the Node language host");
  const version = await versionOf(join(directory, "pulumi"), environment);
  if (version !== PULUMI_VERSION) throw new Error(`what was installed reports version ${version}`);
}

/** One rename, so that nobody ever sees half of an installation. */
async function publish(made: string, root: string): Promise<void> {
  // An incomplete one, or else we would not be here: somebody has removed a part of it.
  await removeTree(root);
  await rename(made, root);
}

/** What runs that were killed have left beside `root`. */
async function removeLeftovers(root: string): Promise<void> {
  const directory = dirname(root);
  const leftovers = (await readdir(directory)).filter(
    (name) => name.startsWith(`${basename(root)}.`) && name.endsWith(WORKSPACE),
  );
  for (const name of leftovers) {
    // A compiler that outlived its run may still write there; the next installation tries again.
    await removeTree(join(directory, name)).catch(() => undefined);
  }
}

/** Go makes the folders of its module cache read-only. */
async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(async () => {
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  });
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
  }
}

/** Work that can tidy up when a signal arrives; then the signal does what it would have done. */
async function stoppedBySignals<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals) => {
    received ??= signal;
    controller.abort(new Error(`stopped by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    if (received !== undefined && process.listenerCount(received) === 0) process.kill(process.pid, received);
  }
}
