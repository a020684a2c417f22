import type { ChildProcess, ChildProcessByStdio } from "node:child_process";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { connected, startPostgres } from "../../sandbox/postgres";
import { testDatabase } from "../database";

/** Starts a server as the program in `sandbox/` does, says where, and stays until it is ended. */
const program = `
  require("./sandbox/postgres.ts")
    .startPostgres({ directory: process.env.DIRECTORY || undefined })
    .then(({ url }) => console.log(url));
  setInterval(() => undefined, 1_000);
`;

const checkout = join(__dirname, "..", "..");
const asRoot = process.getuid?.() === 0;
const PLAIN_USER = 1000;
/** A checkout or a Node below root's own home is out of reach for anybody else. */
const plainUserMayRun =
  asRoot &&
  spawnSync(process.execPath, ["-e", "fs.accessSync(process.argv[1])", join(checkout, "package.json")], {
    uid: PLAIN_USER,
    gid: PLAIN_USER,
  }).status === 0;

let scratch: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  scratch = await realpath(await mkdtemp(join(tmpdir(), "postgres-test-")));
  await chmod(scratch, 0o777);
  vi.stubEnv("TMPDIR", scratch);
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  vi.unstubAllEnvs();
  // A server that is just ending removes its own files at the same time.
  await rm(scratch, { recursive: true, force: true, maxRetries: 10 });
});

describe("a server of its own", () => {
  test("starts as the current user, listens on 127.0.0.1 only and leaves nothing behind", async () => {
    const server = await startPostgres();
    expect(await serverFolders()).toHaveLength(1);
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
    expect(await setting(server.url, "listen_addresses")).toBe("127.0.0.1");
    expect(await setting(server.url, "unix_socket_directories")).toBe("");

    await server.stop();
    expect(await answers(server.url)).toBe(false);
    expect(await serverFolders()).toEqual([]);
    await server.stop();
  });

  test.runIf(plainUserMayRun)("starts as a plain user, too", async () => {
    const { url } = await startInChild({ uid: PLAIN_USER });
    expect(await answers(url)).toBe(true);
  });

  test("creates databases of distinct names and drops them while somebody is connected", async () => {
    const [one, two] = await Promise.all([testDatabase(), testDatabase()]);
    expect(one.url).not.toBe(two.url);
    await connected(two.url, async (client) => {
      await two.drop();
      await expect(client.query("select 1")).rejects.toThrow();
    });
    expect(await answers(one.url)).toBe(true);
    expect(await answers(two.url)).toBe(false);
    await one.drop();
    await one.drop();
  });

  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "ends after a %s of its process, and its files with it",
    async (signal) => {
      const { url, child } = await startInChild();
      child.kill(signal);
      await vi.waitFor(async () => {
        expect(await answers(url)).toBe(false);
        expect(await serverFolders()).toEqual([]);
      }, 10_000);
    },
  );

  test("leaves nothing behind after a SIGKILL while its cluster is being made", async () => {
    const child = spawnProgram();
    await vi.waitFor(
      async () => {
        const [folder = ""] = await serverFolders();
        expect(await readdir(join(scratch, folder, "data.partial"))).toContain("PG_VERSION");
      },
      { timeout: 10_000, interval: 5 },
    );
    child.kill("SIGKILL");
    await vi.waitFor(async () => {
      expect(await serverFolders()).toEqual([]);
    }, 10_000);
  });

  test("says why it did not start when the port is taken, and leaves nothing behind", async () => {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    // A listener that never answers as Postgres would: it hangs up.
    listener.on("connection", (socket) => socket.destroy());
    await expect(startPostgres({ port })).rejects.toThrow(/did not start on port \d+[^]*could not bind/);
    expect(await serverFolders()).toEqual([]);
    listener.close();
  });

  test("says how to set DATABASE_URL on a platform without binaries", async () => {
    const platform = vi.spyOn(process, "arch", "get").mockReturnValue("riscv64");
    await expect(startPostgres()).rejects.toThrow(/no Postgres .* \(\w+-riscv64\).*set DATABASE_URL/);
    platform.mockRestore();
  });
});

describe("a server of a directory", () => {
  test("keeps its data between two starts", async () => {
    const directory = join(scratch, "kept");
    const first = await startPostgres({ directory });
    await connected(first.url, (client) => client.query("create table kept as select 1 as one"));
    await first.stop();

    const second = await startPostgres({ directory });
    const { rows } = await connected(second.url, (client) => client.query("select one from kept"));
    expect(rows).toEqual([{ one: 1 }]);
    await second.stop();
  });

  test("is shared while its process lives, and only that one stops it", async () => {
    const directory = join(scratch, "shared");
    const owner = await startPostgres({ directory });
    const guest = await startPostgres({ directory });
    expect(guest.url).toBe(owner.url);
    await guest.stop();
    expect(await answers(owner.url)).toBe(true);
    await owner.stop();
    expect(await answers(owner.url)).toBe(false);
  });

  test("is taken over at once after a SIGKILL of its process", async () => {
    const directory = join(scratch, "orphan");
    const { child, url } = await startInChild({ directory });
    await connected(url, (client) => client.query("create table kept as select 1 as one"));
    child.kill("SIGKILL");
    await once(child, "exit");

    const next = await startPostgres({ directory });
    expect((await connected(next.url, (client) => client.query("select one from kept"))).rows).toEqual([
      { one: 1 },
    ]);
    await next.stop();
    expect(await answers(url)).toBe(false);
  });

  test.runIf(asRoot)("may lie where only root may go", async () => {
    const closed = join(scratch, "closed");
    await mkdir(closed, { mode: 0o700 });
    const first = await startPostgres({ directory: join(closed, "postgres") });
    const data = await dataDirectoryOf(first.url);
    await first.stop();
    const second = await startPostgres({ directory: join(closed, "postgres") });
    expect(await dataDirectoryOf(second.url)).toBe(data);
    await second.stop();
  });
});

interface ProgramOptions {
  readonly uid?: number;
  readonly directory?: string;
}

async function startInChild(options?: ProgramOptions): Promise<{ child: ChildProcess; url: string }> {
  const child = spawnProgram(options);
  for await (const url of createInterface(child.stdout)) return { child, url };
  throw new Error("The child ended without a word.");
}

function spawnProgram({ uid, directory = "" }: ProgramOptions = {}): ChildProcessByStdio<
  null,
  Readable,
  null
> {
  const child = spawn(process.execPath, ["--import", "tsx", "-e", program], {
    cwd: checkout,
    env: { ...process.env, DIRECTORY: directory },
    stdio: ["ignore", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  children.push(child);
  return child;
}

/** tsx keeps its cache beside them. */
async function serverFolders(): Promise<string[]> {
  return (await readdir(scratch)).filter((name) => name.startsWith("clerk-migration-postgres-"));
}

async function setting(url: string, name: string): Promise<unknown> {
  const { rows } = await connected(url, (client) =>
    client.query<{ value: string }>("select current_setting($1) as value", [name]),
  );
  return rows[0]?.value;
}

async function dataDirectoryOf(url: string): Promise<string> {
  return String(await setting(url, "data_directory"));
}

async function answers(url: string): Promise<boolean> {
  return connected(url, (client) => client.query("select 1")).then(
    () => true,
    () => false,
  );
}
