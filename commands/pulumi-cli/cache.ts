import { access, constants, lstat, mkdir } from "node:fs/promises";
import { homedir, tmpdir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

import { PULUMI_VERSION } from "./versions";

/** A home that machines of two kinds share keeps one installation for each. */
const NAME = `pulumi-${PULUMI_VERSION}-${process.platform}-${process.arch}`;

interface Place {
  readonly directory: string;
  /** Other users can write where it lies. */
  readonly shared: boolean;
}

/**
 * Where an installation may be, best place first. Not in node_modules, which `npm ci` empties, and not in
 * `~/.pulumi/versions`, where other programs expect the official release with the hosts of all languages.
 */
export async function cachedRoots(environment: NodeJS.ProcessEnv): Promise<string[]> {
  const roots: string[] = [];
  for (const place of places(environment)) {
    if (await isTrusted(place)) roots.push(join(place.directory, NAME));
  }
  return roots;
}

/** The first of these places that can be written, made if need be. */
export async function writableRoot(environment: NodeJS.ProcessEnv): Promise<string> {
  const candidates = places(environment);
  for (const place of candidates) {
    if ((await canWrite(place)) && (await isTrusted(place))) return join(place.directory, NAME);
  }
  throw new Error(`${candidates.map(({ directory }) => directory).join(" and ")} cannot be written`);
}

function places(environment: NodeJS.ProcessEnv): Place[] {
  const given = environment.PULUMI_CLI_CACHE ?? "";
  if (given !== "") return [{ directory: resolve(given), shared: false }];
  const temporary = join(environment.TMPDIR ?? tmpdir(), `clerk-migration-${userId()}`);
  const caches = cachesOfUser(environment);
  return [
    ...(caches === "" ? [] : [{ directory: join(caches, "clerk-migration"), shared: false }]),
    { directory: temporary, shared: true },
  ];
}

async function canWrite({ directory }: Place): Promise<boolean> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await access(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Anybody can make a folder of that name among the temporary files; what others can write is not run. */
async function isTrusted({ directory, shared }: Place): Promise<boolean> {
  if (!shared) return true;
  try {
    const { uid, mode } = await lstat(directory);
    return uid === process.getuid?.() && (mode & 0o022) === 0;
  } catch {
    return false;
  }
}

function cachesOfUser(environment: NodeJS.ProcessEnv): string {
  const given = environment.XDG_CACHE_HOME ?? "";
  if (isAbsolute(given)) return given;
  const home = environment.HOME ?? homeOfUser();
  return home === "" ? "" : join(home, ".cache");
}

function userId(): string {
  return String(process.getuid?.() ?? userInfo().username);
}

/** A container may run under a number that has no entry in the list of users. */
function homeOfUser(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}
