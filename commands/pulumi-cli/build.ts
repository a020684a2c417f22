import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, constants, copyFile, mkdir, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

import { z } from "zod";

import { onPath } from "./executables";
import type { Progress, Terminal } from "./progress";
import { startProgress } from "./progress";
import { GO_VERSION, isAtLeast, PULUMI_VERSION } from "./versions";

export interface BuildOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

interface Program {
  readonly title: string;
  /** On two cores, free or busy, with nothing downloaded yet. */
  readonly duration: string;
  /** Its folder in `modules`: the Go module that pins the version of everything in it. */
  readonly module: string;
  readonly package: string;
  readonly binary: string;
}

/** The host is older than the CLI: the newest one that can be had as a Go module. `LANGUAGE_HOST` makes up for it. */
const PROGRAMS: readonly Program[] = [
  {
    title: "Pulumi's Node language host",
    duration: "half a minute to one",
    module: "host",
    package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
    binary: "pulumi-language-nodejs-host",
  },
  {
    title: `the Pulumi CLI ${PULUMI_VERSION}`,
    duration: "3 to 6 minutes",
    module: "cli",
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    binary: "pulumi",
  },
];

const LANGUAGE_HOST = "pulumi-language-nodejs";
const PROVIDER_LAUNCHER = "pulumi-resource-pulumi-nodejs";

/** Those of the release. Without the stamp the CLI reports no version, and the Automation API refuses it. */
const BUILD_FLAGS = [
  "-trimpath",
  "-buildvcs=false",
  "-mod=readonly",
  "-modcacherw",
  "-tags=osusergo,grpcnotrace",
  `-ldflags=-w -s -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI_VERSION}`,
];

const cachesSchema = z.object({ GOMODCACHE: z.string(), GOCACHE: z.string() });

/** Builds the CLI into `workspace`/cli/bin and returns `workspace`/cli. What else it leaves in `workspace` is waste. */
export async function buildPulumi(workspace: string, options: BuildOptions): Promise<string> {
  const go = await onPath("go", options.environment);
  if (go === undefined) throw new Error("there is no Go to build it with");
  const environment = await goEnvironment(go, workspace, options.environment);
  await requireGo(go, environment);

  const root = join(workspace, "cli");
  const directory = join(root, "bin");
  await mkdir(directory, { recursive: true });
  for (const program of PROGRAMS) {
    await build(program, { ...options, environment, go, output: join(directory, program.binary) });
  }
  const sdk = dirname(createRequire(__filename).resolve("@pulumi/pulumi/package.json"));
  await copyExecutable(join(__dirname, LANGUAGE_HOST), join(directory, LANGUAGE_HOST));
  await copyExecutable(join(sdk, PROVIDER_LAUNCHER), join(directory, PROVIDER_LAUNCHER));
  return root;
}

/** The user's Go caches where they are in use; else private ones, for the 3 GB would stay there for one build. */
async function goEnvironment(
  go: string,
  workspace: string,
  given: NodeJS.ProcessEnv,
): Promise<NodeJS.ProcessEnv> {
  const temporary = join(workspace, "temporary");
  await mkdir(temporary);
  // Of whatever else the user has set, these would change what is built, and a go.work file how.
  const environment: NodeJS.ProcessEnv = { ...given, GOTMPDIR: temporary, CGO_ENABLED: "0", GOWORK: "off" };
  delete environment.GOOS;
  delete environment.GOARCH;

  const { stdout } = await promisify(execFile)(go, ["env", "-json", "GOMODCACHE", "GOCACHE"], {
    cwd: workspace,
    env: environment,
  });
  const caches = cachesSchema.parse(JSON.parse(stdout));
  if (!(await isInUse(caches.GOMODCACHE))) {
    environment.GOPATH = join(workspace, "go");
    environment.GOMODCACHE = join(workspace, "go", "pkg", "mod");
  }
  if (!(await isInUse(caches.GOCACHE))) environment.GOCACHE = join(workspace, "go-build");
  return environment;
}

async function isInUse(cache: string): Promise<boolean> {
  try {
    await access(cache, constants.W_OK);
    return (await readdir(cache)).length > 0;
  } catch {
    return false;
  }
}

/** Asked inside the module, a Go that may do so answers with the toolchain that go.mod calls for. */
async function requireGo(go: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const options = { cwd: join(__dirname, "modules", "cli"), env: environment };
  const answer = await promisify(execFile)(go, ["version"], options).catch((error: unknown) => {
    throw new Error(`Go is older than ${GO_VERSION} and gets no newer toolchain`, { cause: error });
  });
  const version = /\bgo(\d[\w.]*)/.exec(answer.stdout)?.[1] ?? "";
  if (!isAtLeast(version, GO_VERSION)) throw new Error(`Go ${version} is older than ${GO_VERSION}`);
}

interface Build extends BuildOptions {
  readonly go: string;
  readonly output: string;
}

async function build(program: Program, { go, output, environment, terminal, signal }: Build): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(go, ["build", "-v", ...BUILD_FLAGS, "-o", output, program.package], {
    cwd: join(__dirname, "modules", program.module),
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
    // In a group of its own it can be stopped with all the compilers it has started.
    detached: true,
  });
  const stop = () => {
    killGroup(child);
  };
  signal.addEventListener("abort", stop);
  const title = `Building ${program.title}, once, ${program.duration}`;
  const progress = startProgress(terminal, title, environment);
  try {
    const [trouble] = await Promise.all([watch(child.stderr, progress), once(child, "close")]);
    signal.throwIfAborted();
    if (child.exitCode !== 0) throw new Error(`go build failed (${trouble})`);
  } finally {
    signal.removeEventListener("abort", stop);
    progress.stop();
  }
}

/** Reads what `go build -v` tells, and returns the last line of it that is trouble. */
async function watch(stderr: Readable, progress: Progress): Promise<string> {
  let downloads = 0;
  let packages = 0;
  let trouble = "";
  for await (const line of createInterface({ input: stderr })) {
    if (line.startsWith("go: downloading ")) progress.update(`downloading module ${(downloads += 1)}`);
    else if (/^\S+$/.test(line)) progress.update(`compiling package ${(packages += 1)}`);
    else if (line.trim() !== "") trouble = line.trim();
  }
  return trouble;
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}

async function copyExecutable(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o755);
}
