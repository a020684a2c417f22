// Runs before `npm start` and `npm test`, so that both work from a fresh clone. It has nothing but Node to rely on, and
// is written for an old one too, which must get as far as the sentence that says so.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * What a lock file says of a package.
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean,
 *   os?: string[], cpu?: string[], libc?: string[] }} LockedPackage
 */

const OLDEST_NODE = [20, 12];
const POLL_MS = 200;
const EMPTY_FOR_MS = 10_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** An expected failure, shown as a sentence. */
class Refusal extends Error {}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new Refusal(
    `Node ${process.versions.node} is too old for this program: install Node ${OLDEST_NODE.join(".")} or newer from https://nodejs.org.`,
  );
}

/** Whether node_modules holds what package-lock.json asks for. npm writes its own record there when it has finished. */
function isInstalled() {
  const wanted = packagesIn(join(root, "package-lock.json"));
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return false;
  const present = packagesIn(record);
  return Object.entries(wanted).every(([path, locked]) => {
    // The program itself.
    if (path === "" || locked === undefined) return true;
    const found = present[path];
    if (found === undefined) return !isNeededHere(locked);
    return isSame(locked, found) && existsSync(join(root, path));
  });
}

/**
 * By path.
 * @param {string} lockFile
 */
function packagesIn(lockFile) {
  /** @type {unknown} */
  const lock = JSON.parse(readFileSync(lockFile, "utf8"));
  return /** @type {{ packages: Partial<Record<string, LockedPackage>> }} */ (lock).packages;
}

/**
 * @param {LockedPackage} wanted
 * @param {LockedPackage} present
 */
function isSame(wanted, present) {
  return wanted.version === present.version && wanted.integrity === present.integrity;
}

/**
 * An optional package is for some machines; one that names a C library may still be for another than this.
 * @param {LockedPackage} wanted
 */
function isNeededHere(wanted) {
  if (!wanted.optional && !wanted.devOptional) return true;
  if (wanted.os === undefined || wanted.cpu === undefined || wanted.libc !== undefined) return false;
  return wanted.os.includes(process.platform) && wanted.cpu.includes(process.arch);
}

/**
 * Two at once would delete each other's files: the second waits until the first has finished, or has died.
 * @param {() => void} work
 */
async function withLock(work) {
  const checkout = createHash("sha256").update(root).digest("hex").slice(0, 16);
  const lock = join(tmpdir(), `clerk-migration-dependencies-${checkout}.lock`);
  let saidSo = false;
  while (!takes(lock)) {
    if (!saidSo) process.stderr.write("Waiting for another run, which installs the dependencies.\n");
    saidSo = true;
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** @param {string} lock */
function takes(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
  try {
    const owner = readFileSync(lock, "utf8");
    if (isDead(owner, statSync(lock).mtimeMs)) takeAway(lock, owner);
  } catch (error) {
    // It has just been released.
    if (!hasCode(error, "ENOENT")) throw error;
  }
  return false;
}

/**
 * @param {string} owner
 * @param {number} since
 */
function isDead(owner, since) {
  // An owner that has just made the file writes its id next.
  if (owner === "") return Date.now() - since > EMPTY_FOR_MS;
  try {
    process.kill(Number(owner), 0);
    return false;
  } catch (error) {
    return hasCode(error, "ESRCH");
  }
}

/**
 * Another run may have done so a moment ago and have made its own: then that one gets it back.
 * @param {string} lock
 * @param {string} dead
 */
function takeAway(lock, dead) {
  const aside = `${lock}.${process.pid}`;
  renameSync(lock, aside);
  if (readFileSync(aside, "utf8") === dead) rmSync(aside, { force: true });
  else renameSync(aside, lock);
}

/**
 * @param {unknown} error
 * @param {string} code
 */
function hasCode(error, code) {
  return error instanceof Error && "code" in error && error.code === code;
}

function installDependencies() {
  // Whoever had the lock before us may have done it.
  if (isInstalled()) return;
  process.stderr.write("Installing the dependencies (npm ci).\n");
  // npm's own words go to standard error: the output of the command that follows may be read by a program.
  const [command, ...args] = npm();
  const result = spawnSync(command, [...args, "ci", "--include=dev", "--include=optional"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (result.status === 0) return;
  const end = result.signal === null ? `exit code ${String(result.status)}` : result.signal;
  const reason = result.error === undefined ? `npm ci ended with ${end}` : result.error.message;
  throw new Refusal(
    `The dependencies could not be installed (${reason}): put right what npm says above, then run it again.`,
  );
}

/**
 * The npm that runs this script, if one does: it may not be on PATH.
 * @returns {[string, ...string[]]}
 */
function npm() {
  const running = process.env.npm_execpath ?? "";
  return basename(running) === "npm-cli.js" ? [process.execPath, running] : ["npm"];
}

async function main() {
  requireNode();
  if (!isInstalled()) await withLock(installDependencies);
}

main().catch((/** @type {unknown} */ error) => {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
