import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { FindOptions, PulumiCli } from "../../commands/pulumi-cli/find";
import { findPulumi, NoPulumi, pulumiEnvironment } from "../../commands/pulumi-cli/find";
import { GO_VERSION, isAtLeast, PULUMI_VERSION } from "../../commands/pulumi-cli/versions";

const run = promisify(execFile);

const checkout = join(__dirname, "..", "..");
const commands = join(checkout, "commands");
const installationName = `pulumi-${PULUMI_VERSION}-${process.platform}-${process.arch}`;

/** What the fakes below are written with. They are not on the PATH under test, where a real `pulumi` or `go` may be. */
const SYSTEM_PATH = `${dirname(process.execPath)}${delimiter}/usr/bin${delimiter}/bin`;

let folder: string;
let bin: string;
let cache: string;
let environment: NodeJS.ProcessEnv;
let shown: string;
let started: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pulumi-cli-"));
  bin = join(folder, "bin");
  cache = join(folder, "home", ".cache", "clerk-migration");
  environment = { PATH: bin, HOME: join(folder, "home"), TMPDIR: join(folder, "tmp") };
  shown = "";
  started = [];
  for (const name of ["bin", "home", "tmp"]) await mkdir(join(folder, name));
});

afterEach(async () => {
  await rm(join(folder, "hold"), { force: true });
  for (const child of started) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "close");
    }
  }
  await rm(folder, { recursive: true, force: true });
});

function find(options: FindOptions = {}): Promise<PulumiCli> {
  const terminal = { write: (text: string) => (shown += text) };
  return findPulumi({ environment, terminal, downloadRelease: noNetwork, ...options });
}

function noNetwork(): Promise<void> {
  return Promise.reject(new Error("no network"));
}

async function script(path: string, ...lines: string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, ["#!/bin/sh", `PATH=${SYSTEM_PATH}`, ...lines, ""].join("\n"), { mode: 0o755 });
}

async function fakePulumi(directory: string, version = PULUMI_VERSION): Promise<void> {
  await script(join(directory, "pulumi"), `echo v${version}`);
  await fakePlugins(directory);
}

async function fakePlugins(directory: string): Promise<void> {
  await script(join(directory, "pulumi-language-nodejs"));
  await script(join(directory, "pulumi-resource-pulumi-nodejs"));
}

/**
 * A Go that notes its builds in the file `builds`, with the caches they use, and fills these with read-only folders as
 * the real one does. A build lasts as long as there is a file `hold`.
 */
async function fakeGo(version = "1.26.8"): Promise<void> {
  await script(
    join(bin, "go"),
    `modules=\${GOMODCACHE:-$HOME/go/pkg/mod} cache=\${GOCACHE:-$HOME/.cache/go-build}`,
    `case $1 in`,
    `env) echo "{\\"GOMODCACHE\\": \\"$modules\\", \\"GOCACHE\\": \\"$cache\\"}" ;;`,
    `version) echo "go version go${version} linux/amd64" ;;`,
    `build)`,
    `  mkdir -p "$modules/example.com" "$cache" && touch "$modules/example.com/file" "$cache/file"`,
    `  chmod 555 "$modules/example.com"`,
    `  echo "go: downloading example.com v1.0.0" >&2`,
    `  echo "$modules $cache" >> ${join(folder, "builds")}`,
    `  while [ -e ${join(folder, "hold")} ]; do sleep 0.02; done`,
    `  while [ "$1" != -o ]; do shift; done`,
    `  printf '#!/bin/sh\\necho v${PULUMI_VERSION}\\n' > "$2" && chmod 755 "$2" ;;`,
    `esac`,
  );
}

async function builds(): Promise<string[]> {
  return (await readFile(join(folder, "builds"), "utf8")).trim().split("\n");
}

/** Ends when the first build has begun, which then goes on until the file `hold` is gone. */
async function untilBuilding(): Promise<void> {
  await expect.poll(() => existsSync(join(folder, "builds")), { timeout: 20_000 }).toBe(true);
}

async function hold(): Promise<void> {
  await writeFile(join(folder, "hold"), "");
}

async function letGo(): Promise<void> {
  await rm(join(folder, "hold"));
}

/** Another process that looks for Pulumi as `find` does. */
function findElsewhere(): ChildProcess {
  const program =
    `require("./commands/pulumi-cli/find.ts")` +
    `.findPulumi({ downloadRelease: () => Promise.reject(new Error("no network")) })`;
  return start(["-e", program]);
}

function start(args: readonly string[], options: { detached?: boolean } = {}): ChildProcess {
  const child = spawn(process.execPath, ["--import", "tsx", ...args], {
    cwd: checkout,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
  });
  started.push(child);
  return child;
}

/** The message, of which there must be one sentence and no more. */
async function refusalOf(search: Promise<PulumiCli>): Promise<string> {
  const error = await search.catch((thrown: unknown) => thrown);
  if (!(error instanceof NoPulumi)) throw new Error("a Pulumi was found");
  return error.message;
}

describe("the search", () => {
  test("takes the pulumi on PATH, and leaves PATH as it is", async () => {
    await fakePulumi(bin, "3.260.1");

    const cli = await find();

    expect(cli).toEqual({ binary: join(bin, "pulumi"), directory: bin, version: "3.260.1", origin: "path" });
    expect(pulumiEnvironment(cli, environment)).toEqual({ PATH: bin, PULUMI_SKIP_UPDATE_CHECK: "true" });
    expect(shown).toBe("");
  });

  test("accepts plugins elsewhere on PATH, and beside the file that a link on PATH leads to", async () => {
    const linked = join(folder, "linked");
    await fakePulumi(linked);
    await symlink(join(linked, "pulumi"), join(bin, "pulumi"));
    expect((await find()).origin).toBe("path");

    const plugins = join(folder, "plugins");
    await rm(linked, { recursive: true });
    await rm(join(bin, "pulumi"));
    await script(join(bin, "pulumi"), `echo v${PULUMI_VERSION}`);
    await fakePlugins(plugins);
    environment.PATH = [bin, plugins].join(delimiter);
    expect((await find()).origin).toBe("path");
  });

  test.each(["3.247.9", "3.248.0-alpha.1", "4.0.0", ""])(
    "passes over a pulumi on PATH whose version is '%s'",
    async (version) => {
      await fakePulumi(bin, version);
      expect((await find({ downloadRelease: (root) => fakePulumi(join(root, "bin")) })).origin).toBe(
        "release",
      );
    },
  );

  test.each(["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"])(
    "passes over a pulumi on PATH that lacks %s",
    async (plugin) => {
      await fakePulumi(bin);
      await rm(join(bin, plugin));
      expect((await find({ downloadRelease: (root) => fakePulumi(join(root, "bin")) })).origin).toBe(
        "release",
      );
    },
  );

  test("downloads the release once, and finds it in the cache from then on", async () => {
    await fakeGo();
    const directory = join(cache, installationName, "bin");

    const cli = await find({ downloadRelease: (root) => fakePulumi(join(root, "bin")) });
    expect(cli).toEqual({
      binary: join(directory, "pulumi"),
      directory,
      version: PULUMI_VERSION,
      origin: "release",
    });
    expect(pulumiEnvironment(cli, environment)).toEqual({
      PATH: `${directory}${delimiter}${bin}`,
      PULUMI_SKIP_UPDATE_CHECK: "true",
    });
    expect(await find()).toEqual({ ...cli, origin: "cache" });
    expect(existsSync(join(folder, "builds"))).toBe(false);
  });

  test("installs anew what has lost a part", async () => {
    const downloadRelease = (root: string) => fakePulumi(join(root, "bin"));
    const cli = await find({ downloadRelease });
    await rm(join(cli.directory, "pulumi-language-nodejs"));

    expect(await find({ downloadRelease })).toEqual(cli);
  });

  test("does not keep a download that is incomplete or of another version", async () => {
    await fakeGo();
    const incomplete = (root: string) => script(join(root, "bin", "pulumi"), `echo v${PULUMI_VERSION}`);
    expect((await find({ downloadRelease: incomplete })).origin).toBe("built");

    await rm(cache, { recursive: true });
    expect((await find({ downloadRelease: (root) => fakePulumi(join(root, "bin"), "3.1.0") })).origin).toBe(
      "built",
    );
  });
});

describe("the build", () => {
  test("makes an installation that is complete by itself, where the release cannot be had", async () => {
    await fakeGo();

    const cli = await find();

    expect(cli.origin).toBe("built");
    expect((await readdir(cli.directory)).sort()).toEqual([
      "pulumi",
      "pulumi-language-nodejs",
      "pulumi-language-nodejs-host",
      "pulumi-resource-pulumi-nodejs",
    ]);
    expect(pulumiEnvironment(cli, environment)).toMatchObject({
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    });
    expect((await find()).origin).toBe("cache");
  });

  test("has Go caches of its own when the user has none, and removes them with their read-only folders", async () => {
    await fakeGo();
    await find();

    expect(await readdir(cache)).toEqual([installationName]);
    expect(await readdir(join(folder, "home"))).toEqual([".cache"]);
    for (const caches of await builds()) expect(caches).toContain(join(cache, installationName));
  });

  test("uses the Go caches the user has, and leaves them", async () => {
    await fakeGo();
    const modules = join(folder, "home", "go", "pkg", "mod");
    const compiled = join(folder, "home", ".cache", "go-build");
    for (const directory of [modules, compiled]) {
      await mkdir(directory, { recursive: true });
      await writeFile(join(directory, "in-use"), "");
    }
    await find();

    expect(await builds()).toEqual([`${modules} ${compiled}`, `${modules} ${compiled}`]);
    expect(await readdir(modules)).toEqual(["example.com", "in-use"]);
    expect(await readdir(compiled)).toEqual(["file", "in-use"]);
    await chmod(join(modules, "example.com"), 0o755);
  });

  test("tells its progress in whole lines where nobody watches, and in one line in a terminal", async () => {
    await fakeGo();
    await find();
    expect(shown).toContain(`Building the Pulumi CLI ${PULUMI_VERSION}, once`);
    expect(shown).not.toMatch(/[\r\u001b]/);

    await rm(cache, { recursive: true });
    shown = "";
    await find({ terminal: { isTTY: true, columns: 60, write: (text: string) => (shown += text) } });
    expect(shown).not.toContain("\u001b");
    for (const line of shown.split(/[\r\n]/).slice(0, -2)) expect(line.length).toBeLessThan(60);
  });

  test("pins the version that package.json and the Go modules ask for", async () => {
    const manifest = await readFile(join(checkout, "package.json"), "utf8");
    const goModule = await readFile(join(commands, "pulumi-cli", "modules", "cli", "go.mod"), "utf8");
    expect(manifest).toContain(`"@pulumi/pulumi": "${PULUMI_VERSION}"`);
    expect(goModule).toContain(`github.com/pulumi/pulumi/pkg/v3 v${PULUMI_VERSION}\n`);
    expect(goModule).toContain(`\ngo ${GO_VERSION}\n`);
  });
});

describe("two at once, and one that is killed", () => {
  test("waits for another installation instead of starting a second one", async () => {
    await fakeGo();
    await hold();
    const first = find();
    await untilBuilding();
    const second = find();
    await expect.poll(() => shown).toContain(`Waiting for process ${process.pid}`);
    await letGo();

    expect([(await first).origin, (await second).origin]).toEqual(["built", "cache"]);
    expect(await builds()).toHaveLength(2);
  });

  test("takes over from an installation that was killed, and removes what it has left", async () => {
    await fakeGo();
    await hold();
    const killed = findElsewhere();
    await untilBuilding();
    killed.kill("SIGKILL");
    await once(killed, "close");
    expect(await readdir(cache)).toHaveLength(2);
    await letGo();

    expect((await find()).origin).toBe("built");
    expect(await readdir(cache)).toEqual([installationName]);
  });

  test("takes over from an owner on another machine that has long been silent", async () => {
    await fakeGo();
    await mkdir(cache, { recursive: true });
    const lock = join(cache, `${installationName}.lock`);
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: `not-${hostname()}`, token: "old" }));
    await run("touch", ["-d", "2000-01-01T00:00:00", lock]);

    expect((await find()).origin).toBe("built");
    expect(await readdir(cache)).toEqual([installationName]);
  });

  test("leaves nothing behind when it is interrupted, neither files nor a compiler", async () => {
    await fakeGo();
    await hold();
    const interrupted = findElsewhere();
    await untilBuilding();
    interrupted.kill("SIGINT");
    await once(interrupted, "close");

    expect(interrupted.signalCode).toBe("SIGINT");
    expect(await readdir(cache)).toEqual([]);
  });
});

describe("no way", () => {
  test("names the ways out in one sentence", async () => {
    expect(await refusalOf(find())).toBe(
      `There is no Pulumi CLI ${PULUMI_VERSION} or newer on PATH with its Node language host, and none could be had ` +
        `(no network; there is no Go to build it with): install Pulumi from https://www.pulumi.com/docs/install, ` +
        `or Go ${GO_VERSION} or newer to build it with, or add the one you have to PATH.`,
    );
    expect(await readdir(cache)).toEqual([]);
  });

  test("says so when Go is too old, whether it tells its version or refuses the module", async () => {
    await fakeGo("1.19.4");
    expect(await refusalOf(find())).toContain(`Go 1.19.4 is older than ${GO_VERSION}`);

    await script(
      join(bin, "go"),
      `[ "$1" = env ] && echo '{"GOMODCACHE": "", "GOCACHE": ""}' && exit`,
      `echo "go: go.mod requires go >= ${GO_VERSION} (running go 1.24.0; GOTOOLCHAIN=local)" >&2; exit 1`,
    );
    expect(await refusalOf(find())).toContain(`Go is older than ${GO_VERSION} and gets no newer toolchain`);
  });

  test("repeats what go said last when the build fails", async () => {
    await fakeGo();
    await script(
      join(bin, "go"),
      `[ "$1" = env ] && echo '{"GOMODCACHE": "", "GOCACHE": ""}' && exit`,
      `[ "$1" = version ] && echo "go version go${GO_VERSION} linux/amd64" && exit`,
      `printf 'go: downloading example.com v1.0.0\\nwrite file: no space left on device\\n' >&2; exit 1`,
    );
    expect(await refusalOf(find())).toContain("go build failed (write file: no space left on device)");
    expect(await readdir(cache)).toEqual([]);
  });
});

describe("the cache", () => {
  test("is where PULUMI_CLI_CACHE says, else below XDG_CACHE_HOME", async () => {
    await fakeGo();
    environment.XDG_CACHE_HOME = join(folder, "xdg");
    expect((await find()).directory).toBe(join(folder, "xdg", "clerk-migration", installationName, "bin"));
    environment.PULUMI_CLI_CACHE = join(folder, "given");
    expect((await find()).directory).toBe(join(folder, "given", installationName, "bin"));
  });

  test("is among the temporary files when the home cannot be written", async () => {
    await fakeGo();
    await rm(join(folder, "home"), { recursive: true });
    await writeFile(join(folder, "home"), "a file, not a folder");

    const cli = await find();
    expect(dirname(dirname(dirname(cli.directory)))).toBe(join(folder, "tmp"));
    expect(await find()).toEqual({ ...cli, origin: "cache" });
  });

  test("is not taken from a temporary folder that others can write", async () => {
    await rm(join(folder, "home"), { recursive: true });
    await writeFile(join(folder, "home"), "a file, not a folder");
    const cli = await find({ downloadRelease: (root) => fakePulumi(join(root, "bin")) });
    await chmod(dirname(dirname(cli.directory)), 0o777);

    expect(await refusalOf(find())).toContain("cannot be written");
  });
});

describe("the language host", () => {
  /** What the real host would be started with. */
  async function flagsFor(project: string, from = "."): Promise<string[]> {
    const host = join(folder, "host");
    await mkdir(join(folder, "project", "dist"), { recursive: true });
    await symlink(join(checkout, "node_modules"), join(folder, "project", "node_modules"));
    await writeFile(join(folder, "project", "Pulumi.yaml"), project);
    await script(join(host, "pulumi-language-nodejs-host"), `for flag; do echo "$flag"; done`);
    await symlink(
      join(commands, "pulumi-cli", "pulumi-language-nodejs"),
      join(host, "pulumi-language-nodejs"),
    );
    const { stdout } = await run(join(host, "pulumi-language-nodejs"), ["127.0.0.1:1"], {
      cwd: join(folder, "project", from),
      env: { ...environment, PATH: SYSTEM_PATH },
    });
    return stdout.trim().split("\n");
  }

  test("gets the options of Pulumi.yaml as flags", async () => {
    const project = await readFile(join(checkout, "Pulumi.yaml"), "utf8");
    expect(await flagsFor(project)).toEqual([
      "-typescript=false",
      "-nodeargs=--import tsx --stack-trace-limit=0",
      "127.0.0.1:1",
    ]);
  });

  test("gets them from the folder above when the program is in a folder of its own", async () => {
    const options = `{ tsconfig: "a b.json", nodeargs: "--title='*'" }`;
    expect(await flagsFor(`runtime: { name: nodejs, options: ${options} }`, "dist")).toEqual([
      "-tsconfig=a b.json",
      "-nodeargs=--title='*'",
      "127.0.0.1:1",
    ]);
  });

  test("gets none where Pulumi.yaml has none", async () => {
    expect(await flagsFor("name: tiny\nruntime: nodejs")).toEqual(["127.0.0.1:1"]);
  });
});

describe("npm run pulumi", () => {
  test("passes arguments and exit code on", async () => {
    await fakePulumi(bin);
    await script(
      join(bin, "pulumi"),
      `[ "$1" = version ] && echo v${PULUMI_VERSION} && exit`,
      `echo "$# $3 $PULUMI_SKIP_UPDATE_CHECK"; exit 7`,
    );
    const child = start([join(commands, "pulumi.ts"), "up", "--stack", "a b"]);
    let output = "";
    child.stdout?.on("data", (data: Buffer) => (output += data.toString()));
    await once(child, "close");

    expect(output).toBe("3 a b true\n");
    expect(child.exitCode).toBe(7);
  });

  test("lets Pulumi hear of an interruption once, though the whole group receives it and npm repeats it", async () => {
    await fakePulumi(bin);
    const heard = join(folder, "heard");
    await script(
      join(bin, "pulumi"),
      `[ "$1" = version ] && echo v${PULUMI_VERSION} && exit`,
      `trap 'echo INT >> ${heard}' INT`,
      `trap 'exit 3' TERM`,
      `touch ${heard}`,
      `while :; do sleep 0.02; done`,
    );
    const child = start([join(commands, "pulumi.ts"), "up"], { detached: true });
    await expect.poll(() => existsSync(heard), { timeout: 20_000 }).toBe(true);
    if (child.pid === undefined) throw new Error("it has not started");
    process.kill(-child.pid, "SIGINT");
    process.kill(child.pid, "SIGINT");
    await expect.poll(() => readFile(heard, "utf8")).toBe("INT\n");
    // Until then a second signal counts as an echo of the first.
    const terminated = () => {
      child.kill("SIGTERM");
      return child.exitCode;
    };
    await expect.poll(terminated, { timeout: 10_000 }).toBe(3);

    expect(await readFile(heard, "utf8")).toBe("INT\n");
  });
});

test.each([
  ["3.248.0", true],
  ["3.248.1-alpha", true],
  ["3.1000.0", true],
  ["3.25.0", false],
  ["2.999.0", false],
  ["nonsense", false],
])("%s is new enough: %s", (version, newEnough) => {
  expect(isAtLeast(version, PULUMI_VERSION)).toBe(newEnough);
});
