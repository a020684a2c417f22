import { copyFile, rm, stat } from "node:fs/promises";

import type { Fault } from "../../sandbox/clerk/server";
import type { SmtpFault } from "../../sandbox/smtp";
import { type Facts, holdsAlways, nothingChanged, upDeletesNobody } from "../invariants";
import type { Run } from "../stack";
import { isProvider, type Kill, kill, sigkill, survivors, type Victim } from "./kill";
import type { Random } from "./random";
import type { EventName } from "./tally";
import { now, type World } from "./world";

/** How many undisturbed runs it may take until everything is as it should be. */
const CONVERGES_WITHIN = 3;

export type Verb = "up" | "refresh" | "destroy";

interface Fire {
  readonly verb: Verb;
  /** About how many requests it makes: the kill comes at one of them. */
  readonly requests: number;
  /** Where the run is to find its database. @default the stack's own */
  readonly databaseUrl?: string;
}

interface Observed {
  readonly run: Run;
  readonly before: Facts;
  readonly after: Facts;
}

/**
 * A run with faults in the answers of Clerk and the mail server, a kill at a random request, and checkpoints on or off.
 * Whatever becomes of it, the promises hold that hold always.
 */
export async function underFire(world: World, event: EventName, fire: Fire): Promise<Observed> {
  const { stack, smtp, chance, story, tally } = world;
  const { verb, databaseUrl = stack.databaseUrl } = fire;
  const faults = Array.from({ length: chance.below(4) }, () => randomFault(chance, fire.requests));
  stack.clerk.faults.add(...faults);
  const mailFaults = smtp !== undefined && chance.chance(0.5) ? [randomMailFault(chance)] : [];
  smtp?.fail(...mailFaults);
  const victim: Victim = chance.oneOf([
    "engine",
    "engine",
    "engine",
    "both",
    "both",
    "provider",
    "provider",
    "database",
    "nobody",
  ]);
  const at = 1 + chance.below(fire.requests);
  const skips = chance.chance(0.5);
  story.push(
    `${event}: ${verb}, ${victim} at request ${at.toString()}, checkpoints ${skips ? "off" : "on"}, ${faults.map(({ on, effect }) => `${on} ${effect.type}`).join(", ") || "no faults"}`,
  );

  const before = await now(world);
  if (verb !== "refresh" && fire.databaseUrl === undefined) world.isSettled = false;
  let seen = 0;
  let strike: Promise<Kill> | undefined;
  let struck: Kill | undefined;
  world.onRequest = () => {
    const engine = world.child?.pid;
    seen++;
    if (
      seen < at ||
      engine === undefined ||
      victim === "nobody" ||
      strike !== undefined ||
      struck?.hit === true
    )
      return;
    // A provider that has not started yet is killed at the first request after it has.
    strike = kill(victim, engine, databaseUrl).then((result) => {
      strike = undefined;
      return (struck = result);
    });
  };
  const run = await start(world, verb, {
    ...(skips ? { PULUMI_SKIP_CHECKPOINTS: "true" } : {}),
    ...(fire.databaseUrl === undefined ? {} : { DATABASE_URL: fire.databaseUrl }),
  });
  world.onRequest = undefined;
  const { family, hit } = (await strike) ?? struck ?? { family: [], hit: false };
  story.push(
    `  ${hit ? "killed" : "not killed"} in ${seen.toString()} requests, exit code ${String(run.exitCode)}`,
  );
  const stayed = await survivors(family.filter(isProvider), 60_000);
  family.forEach(({ pid }) => {
    sigkill(pid);
  });
  stack.clerk.faults.clear();
  smtp?.clearFaults();
  if (run.exitCode === null) await tidyUp(world);

  const count = tally[event];
  count.total++;
  if (hit && victim === "database") count.disconnected++;
  else if (hit) count.killed++;
  if (hit || faults.length + mailFaults.length > 0) count.disturbed++;
  const after = await now(world);
  blame(world, event, [
    ...stayed.map(({ command }) => `${command} stayed behind`),
    ...traces(run),
    ...holdsAlways(world.given, after),
    ...(verb === "up" ? upDeletesNobody(before, after) : []),
    ...(verb === "refresh" ? nothingChanged(before, after) : []),
  ]);
  return { run, before, after };
}

/** A run that nothing disturbs. */
export async function inPeace(world: World, verb: Verb): Promise<Observed> {
  const before = await now(world);
  const run = await start(world, verb, {});
  world.story.push(`${verb}: undisturbed, exit code ${String(run.exitCode)}`);
  const after = await now(world);
  blame(world, verb, [
    ...traces(run),
    ...holdsAlways(world.given, after),
    ...(verb === "up" ? upDeletesNobody(before, after) : []),
  ]);
  return { run, before, after };
}

/** Undisturbed runs until one succeeds. Answers what there is then; undefined where none has. */
export async function converge(world: World, verb: Verb): Promise<Facts | undefined> {
  for (let tries = 1; ; tries++) {
    const { run, after } = await inPeace(world, verb);
    if (run.exitCode === 0) return after;
    if (tries < CONVERGES_WITHIN) continue;
    blame(world, verb, [`it does not converge:\n${run.output.slice(-3_000)}`]);
    return undefined;
  }
}

/** Notes what is broken, each sentence once. */
export function blame({ violations }: World, when: string, sentences: readonly string[]): void {
  for (const sentence of sentences) {
    if (!violations.some((known) => known.endsWith(sentence))) violations.push(`${when}: ${sentence}`);
  }
}

function start({ stack, variables }: World, verb: Verb, given: Record<string, string>): Promise<Run> {
  const all = { ...variables, ...given };
  if (verb === "refresh")
    return stack.pulumi(["refresh", "--yes", "--skip-preview", "--suppress-progress"], all);
  return verb === "up" ? stack.up(all) : stack.destroy(all);
}

/** Whatever happens, people see sentences. */
function traces({ output }: Run): string[] {
  const trace = /^\s+at .*$/m.exec(output);
  return trace === null ? [] : [`a stack trace was printed: ${trace[0]}`];
}

/**
 * What people are told to do after a killed CLI: take its lock away, and mend what it was just writing. A file back end
 * writes the state itself in one go, but not the small `.attrs` file beside it.
 */
async function tidyUp({ stack, story }: World): Promise<void> {
  const file = stack.stateFile();
  if ((await sizeOf(`${file}.attrs`)) === 0) {
    story.push("  the state's .attrs file was cut off in mid-write: deleted");
    await rm(`${file}.attrs`);
  }
  if ((await sizeOf(file)) === 0 && (await sizeOf(`${file}.bak`)) !== undefined) {
    story.push("  the state was cut off in mid-write: restored from its backup");
    await copyFile(`${file}.bak`, file);
  }
  await stack.cancel();
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
}

function randomFault(chance: Random, requests: number): Fault {
  const on = chance.oneOf([
    "POST /users",
    "POST /users",
    "GET /users",
    "PATCH /users/{user_id}",
    "PATCH /users/{user_id}/metadata",
    "DELETE /users/{user_id}",
    "POST /invitations",
    "POST /invitations/{invitation_id}/revoke",
    "GET /invitations",
    "*",
  ]);
  const effect = chance.oneOf<Fault["effect"]>([
    { type: "cut-before" },
    { type: "cut-after" },
    { type: "truncated-json" },
    { type: "empty-body" },
    { type: "answer", status: 500, committed: true },
    { type: "answer", status: 502 },
    { type: "answer", status: 503, committed: true },
    { type: "answer", status: 429, retryAfter: 1 },
    { type: "delay", ms: 300 },
  ]);
  return { on, effect, skip: chance.below(Math.max(1, requests / 2)), times: 1 + chance.below(3) };
}

function randomMailFault(chance: Random): SmtpFault {
  return {
    on: chance.oneOf(["connection", "recipient", "data", "message", "message"]),
    effect: chance.oneOf<SmtpFault["effect"]>([{ type: "cut" }, { type: "reply", code: 451 }]),
    times: 1 + chance.below(3),
  };
}
