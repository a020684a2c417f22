import { randomUUID } from "node:crypto";
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as wait } from "node:timers/promises";

import { z } from "zod";

/** How often an owner shows that it is alive, and how long its silence may last, e.g. while a laptop sleeps. */
const HEARTBEAT_MS = 2_000;
const SILENCE_MS = 60_000;
const POLL_MS = 200;

const ownerSchema = z.object({ pid: z.int(), host: z.string(), token: z.string() });

export type Owner = z.infer<typeof ownerSchema>;

export interface Lock {
  readonly token: string;
  release(): Promise<void>;
}

export interface Waiting {
  /** Ends the wait without the lock: its owner has made what we need. */
  isOver(): Promise<boolean>;
  /** Called again and again while somebody else has the lock; the owner is unknown for an instant only. */
  onWait(owner: Owner | undefined): void;
}

/**
 * Takes the lock file at `path` from nobody, or from an owner that has died. Should two processes ever hold it
 * together, they do the same work twice and no harm: each builds in a folder of its own and one rename wins.
 */
export async function takeLock(path: string, waiting: Waiting): Promise<Lock | undefined> {
  const owner: Owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  for (;;) {
    if (await waiting.isOver()) return undefined;
    if (await created(path, owner)) return hold(path, owner);
    const holder = await observe(path);
    if (holder?.dead === true) await takeAway(path, holder.owner, owner.token);
    else if (holder !== undefined) {
      waiting.onWait(holder.owner);
      await wait(POLL_MS);
    }
  }
}

async function created(path: string, owner: Owner): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(owner), { flag: "wx" });
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

function hold(path: string, owner: Owner): Lock {
  const heartbeat = setInterval(() => {
    // A lock that is gone was taken away from us; the work goes on all the same.
    utimes(path, new Date(), new Date()).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    token: owner.token,
    async release() {
      clearInterval(heartbeat);
      if ((await ownerIn(path))?.token === owner.token) await rm(path, { force: true });
    },
  };
}

async function observe(path: string): Promise<{ owner: Owner | undefined; dead: boolean } | undefined> {
  try {
    const owner = await ownerIn(path);
    const silence = Date.now() - (await stat(path)).mtimeMs;
    // The same process id on another host, or in another container, says nothing.
    const exited = owner !== undefined && owner.host === hostname() && !isRunning(owner.pid);
    return { owner, dead: exited || silence > SILENCE_MS };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Between the look and this step another process may have taken the lock: then it gets it back. */
async function takeAway(path: string, dead: Owner | undefined, token: string): Promise<void> {
  const aside = `${path}.${token}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  if ((await ownerIn(aside))?.token === dead?.token) await rm(aside, { force: true });
  else await rename(aside, path);
}

/** Undefined while the owner is still writing its name, and when there is no lock. */
async function ownerIn(path: string): Promise<Owner | undefined> {
  try {
    const parsed = ownerSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.data;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It runs, as another user.
    return hasCode(error, "EPERM");
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
