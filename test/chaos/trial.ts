import type { ChildProcess } from "node:child_process";
import { copyFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Fault, User } from "../../sandbox/clerk/server";
import { connected } from "../../sandbox/postgres";
import { loadGenerated } from "../../sandbox/sample-users";
import { type LocalSmtp, type SmtpFault, startSmtp } from "../../sandbox/smtp";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { openStack, type Run, type Stack } from "../stack";
import { kill, sigkill, survivors, type Victim } from "./kill";
import { type Random, random } from "./random";

/** Few enough that a trial takes seconds, enough that some are done, some under way and some not begun. */
const USERS = 10;

/** How many undisturbed runs it may take until everything is as it should be. */
const CONVERGES_WITHIN = 3;

export interface Trial {
  readonly seed: number;
  /** What was done, in order. */
  readonly story: readonly string[];
  /** Empty where every promise held. */
  readonly violations: readonly string[];
}

interface Stage {
  readonly stack: Stack;
  /** Where the users are told by mails of our own; otherwise Clerk invites them. */
  readonly smtp: LocalSmtp | undefined;
  readonly chance: Random;
  readonly story: string[];
  readonly violations: string[];
  /** Set by `disturbed` for the run under way. */
  onRequest: (() => void) | undefined;
  child: ChildProcess | undefined;
}

/** One life under fire: disturbed ups, an undisturbed one, disturbed destroys, and back or all the way down. */
export async function runTrial(adminUrl: string, seed: number): Promise<Trial> {
  const chance = random(seed);
  const story: string[] = [];
  const violations: string[] = [];
  const hooks: Pick<Stage, "onRequest" | "child"> = { onRequest: undefined, child: undefined };
  const stack = await openStack(adminUrl, {
    load: (url) => loadGenerated(url, USERS, { seed }),
    onExchange: () => hooks.onRequest?.(),
    onStart: (child) => (hooks.child = child),
  });
  // A chance of its own, so that the rest of a seed's story is the same either way.
  const smtp = random(seed + 1_000_000).chance(0.3) ? await startSmtp() : undefined;
  const stage: Stage = Object.assign(hooks, { stack, smtp, chance, story, violations });
  try {
    if (smtp !== undefined) {
      story.push("tells by mails of our own");
      await stack.configure({
        notify: "sign-in-link",
        mailFrom: "app@example.com",
        appName: "App",
      });
    }
    const before = await snapshotDatabase(stack.databaseUrl);
    const clerkBefore = clerkUsers(stack);

    for (let round = chance.chance(0.25) ? 2 : 1; round > 0; round--) await disturbed(stage, "up");
    await converge(stage, "up");
    await expectMigrated(stage, 1);
    if (chance.chance(0.25)) await expectNoChange(stage);

    await disturbed(stage, "destroy");
    if (chance.chance(0.3)) {
      await converge(stage, "up");
      await expectMigrated(stage, 2);
    }
    await converge(stage, "destroy");
    for (const difference of describeDifference(before, await snapshotDatabase(stack.databaseUrl))) {
      violations.push(`after destroy: ${difference}`);
    }
    if (clerkUsers(stack) !== clerkBefore) violations.push("after destroy: Clerk's users differ");
    const open = [...stack.clerk.store.invitations.values()].filter(({ status }) => status === "pending");
    if (open.length > 0)
      violations.push(`after destroy: ${open.length.toString()} invitations are still open`);
  } finally {
    stack.clerk.faults.clear();
    await smtp?.stop();
    for (const problem of new Set(await stack.stop())) violations.push(`Clerk's reference: ${problem}`);
  }
  return { seed, story, violations };
}

type Verb = "up" | "destroy";

/** A run with faults in Clerk's answers, a kill at a random request, and checkpoints on or off. */
async function disturbed(stage: Stage, verb: Verb): Promise<void> {
  const { stack, chance, story, violations } = stage;
  const faults = Array.from({ length: chance.below(4) }, () => randomFault(chance));
  stack.clerk.faults.add(...faults);
  if (stage.smtp !== undefined && chance.chance(0.5)) stage.smtp.fail(randomMailFault(chance));
  const victim: Victim = chance.oneOf(["engine", "engine", "provider", "both", "database", "nobody"]);
  const at = 2 + chance.below(USERS * 3);
  const skips = chance.chance(0.5);
  story.push(
    `${verb}: ${victim} at request ${at.toString()}, checkpoints ${skips ? "off" : "on"}, ${faults.map(({ on, effect }) => `${on} ${effect.type}`).join(", ") || "no faults"}`,
  );

  let seen = 0;
  let killed: ReturnType<typeof kill> | undefined;
  stage.onRequest = () => {
    const engine = stage.child?.pid;
    if (++seen !== at || engine === undefined || victim === "nobody") return;
    killed = kill(victim, engine, stack.databaseUrl);
  };
  const run = await start(stage, verb, skips ? { PULUMI_SKIP_CHECKPOINTS: "true" } : {});
  stage.onRequest = undefined;
  // Pulumi's language host and its program may outlive the engine, and write nothing; our provider must not.
  const family = (await killed) ?? [];
  const ours = family.filter(({ command }) => command.includes("dynamic-provider"));
  const stayed = await survivors(ours, 60_000);
  family.forEach(({ pid }) => {
    sigkill(pid);
  });
  if (stayed.length > 0)
    violations.push(`${verb}: ${stayed.map(({ command }) => command).join("; ")} stayed behind`);
  stack.clerk.faults.clear();
  stage.smtp?.clearFaults();
  expectNoTrace(stage, run);
  if (run.exitCode === null) await tidyUp(stage);
}

/**
 * What people are told to do after a killed CLI: take its lock away, and mend what it was just writing. A file back end
 * writes the state itself in one go, but not the small `.attrs` file beside it.
 */
async function tidyUp({ stack, story }: Stage): Promise<void> {
  const file = join(stack.directory, "state/.pulumi/stacks/clerk-migration/sandbox.json");
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

/** Undisturbed runs until one succeeds. */
async function converge(stage: Stage, verb: Verb): Promise<void> {
  for (let tries = 1; tries <= CONVERGES_WITHIN; tries++) {
    const run = await start(stage, verb, {});
    expectNoTrace(stage, run);
    stage.story.push(`${verb}: undisturbed, exit code ${String(run.exitCode)}`);
    if (run.exitCode === 0) return;
    if (tries === CONVERGES_WITHIN)
      stage.violations.push(`${verb} does not converge:\n${run.output.slice(-3_000)}`);
  }
}

function start({ stack, smtp }: Stage, verb: Verb, given: Record<string, string>): Promise<Run> {
  const variables = { ...given, ...mailServer(smtp) };
  return verb === "up" ? stack.up(variables) : stack.destroy(variables);
}

async function expectMigrated({ stack, smtp, violations }: Stage, mostMails: number): Promise<void> {
  const { users, outbox } = stack.clerk.store;
  const { rows } = await connected(stack.databaseUrl, (client) =>
    client.query<{
      user_id: string;
      email: string;
      clerk_user_id: string | null;
      status: string | null;
      told: string | null;
    }>(
      `select u.user_id::text, u.email, u.clerk_user_id, l.status, n.status as told
       from users u left join clerk_migration.users l on l.user_id = u.user_id::text
         left join clerk_migration.notifications n on n.user_id = u.user_id::text`,
    ),
  );
  const byExternalId = new Map<string, User[]>();
  for (const user of users.values()) {
    if (user.externalId === null) continue;
    byExternalId.set(user.externalId, [...(byExternalId.get(user.externalId) ?? []), user]);
  }
  for (const row of rows) {
    const found = byExternalId.get(row.user_id) ?? [];
    const address = row.email.trim().toLowerCase();
    const own = (smtp?.mails ?? []).filter(({ to }) => to.includes(address));
    const mails = smtp === undefined ? outbox.filter((mail) => mail.to === address) : own;
    const open = [...stack.clerk.store.invitations.values()].filter(
      ({ emailAddress, status }) => emailAddress === address && status === "pending",
    );
    if (found.length !== 1) violations.push(`${row.user_id} has ${found.length.toString()} Clerk users`);
    if (found[0]?.id !== row.clerk_user_id)
      violations.push(`${row.user_id} is linked to ${String(row.clerk_user_id)}`);
    if (row.status !== "linked") violations.push(`${row.user_id} is ${String(row.status)} in the ledger`);
    // Nobody can ask a mail server: what may be out stays unknown, and is not repeated.
    const least = smtp !== undefined && row.told === "unknown" ? 0 : 1;
    if (row.told !== "sent" && !(smtp !== undefined && row.told === "unknown"))
      violations.push(`${row.user_id} is told: ${String(row.told)}`);
    if (mails.length < least || mails.length > mostMails) {
      violations.push(`${row.user_id} got ${mails.length.toString()} mails`);
    }
    if (open.length !== (smtp === undefined ? 1 : 0))
      violations.push(`${row.user_id} has ${open.length.toString()} open invitations`);
  }
}

function mailServer(smtp: LocalSmtp | undefined): Record<string, string> {
  return smtp === undefined ? {} : { SMTP_URL: smtp.url };
}

async function expectNoChange(stage: Stage): Promise<void> {
  const run = await stage.stack.pulumi(
    ["up", "--yes", "--skip-preview", "--expect-no-changes"],
    mailServer(stage.smtp),
  );
  if (run.exitCode !== 0)
    stage.violations.push(`a second up changes something:\n${run.output.slice(-2_000)}`);
}

/** Whatever happens, people see sentences. */
function expectNoTrace({ violations }: Stage, { output }: Run): void {
  const trace = /^\s+at .*$/m.exec(output);
  if (trace !== null) violations.push(`a stack trace was printed: ${trace[0]}`);
}

function randomFault(chance: Random): Fault {
  const on = chance.oneOf([
    "POST /users",
    "POST /users",
    "GET /users",
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
  return { on, effect, skip: chance.below(USERS), times: 1 + chance.below(3) };
}

function randomMailFault(chance: Random): SmtpFault {
  return {
    on: chance.oneOf(["connection", "recipient", "data", "message", "message"]),
    effect: chance.oneOf<SmtpFault["effect"]>([{ type: "cut" }, { type: "reply", code: 451 }]),
    times: 1 + chance.below(3),
  };
}

function clerkUsers(stack: Stack): string {
  return JSON.stringify([...stack.clerk.store.users.values()]);
}
