import { execFile } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";

import { connected } from "../../sandbox/postgres";

export type Victim = "engine" | "provider" | "both" | "database" | "nobody";

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Every process below this one, itself included. */
export async function familyOf(pid: number): Promise<Process[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="], {
    maxBuffer: 2 ** 26,
  });
  const all = stdout.split("\n").flatMap((line) => {
    const [, id, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return id === undefined ? [] : [{ pid: Number(id), parent: Number(parent), command: command ?? "" }];
  });
  const family = all.filter((process) => process.pid === pid);
  for (const member of family) family.push(...all.filter((process) => process.parent === member.pid));
  return family;
}

export interface Kill {
  /** As it was before; members may live on for a while. */
  readonly family: readonly Process[];
  /** Whether the victim was there to be killed: a provider may not have started yet. */
  readonly hit: boolean;
}

/** Kills without warning. */
export async function kill(victim: Victim, engine: number, databaseUrl: string): Promise<Kill> {
  const family = await familyOf(engine);
  const providers = family.filter(isProvider);
  const isRunning = family.length > 0;
  if (victim === "engine" || victim === "both") sigkill(engine);
  if (victim === "provider" || victim === "both")
    providers.forEach(({ pid }) => {
      sigkill(pid);
    });
  if (victim === "database") {
    await connected(databaseUrl, (client) =>
      client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      ),
    );
  }
  return { family, hit: victim === "provider" ? providers.length > 0 : isRunning };
}

/** The process of our providers. Pulumi's language host and the program write nothing, and may outlive the engine. */
export function isProvider({ command }: Process): boolean {
  return command.includes("dynamic-provider");
}

/** Waits until none of them is left, as a new run on the same machine would find it. Answers those that stay. */
export async function survivors(family: readonly Process[], patienceMs: number): Promise<Process[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const alive = family.filter(({ pid }) => isAlive(pid));
    if (alive.length === 0 || Date.now() > deadline) return alive;
    await wait(50);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export function sigkill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
