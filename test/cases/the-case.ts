import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, test } from "vitest";
import { z } from "zod";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import type { Finding } from "../../providers/findings";
import { describePlan } from "../../providers/plan-text";
import type { Plan, PlannedUser } from "../../providers/planned";
import type { ClerkOptions, LocalClerk } from "../../sandbox/clerk/server";
import { connected } from "../../sandbox/postgres";
import { runCommand } from "../commands/run-command";
import { type Stack, startStack } from "../flows/stack";
import { openTestSystems, type TestSystems } from "../systems";

const folder = import.meta.dirname;

/** All inputs that are here, by name. */
export const caseNames: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith(".sql"))
  .map((file) => file.slice(0, -".sql".length));

interface CaseOptions {
  /** How the local Clerk is set, where the head asks for something. */
  readonly clerk?: ClerkOptions;
  /** An expected failure: the program does not do what is right yet. */
  readonly fails?: boolean;
}

/** A small input from the field, in a database of its own beside a Clerk that knows nobody. */
export interface Case {
  readonly on: TestSystems;
  /** `npm run plan`: the plan, and what is printed of it. */
  plan(): Promise<PlanOfCase>;
  /** `npm run doctor`. */
  doctor(): Promise<Examination>;
  /** `up`: everybody whom the plan declares. */
  up(): Promise<void>;
}

export interface PlanOfCase {
  readonly text: string;
  readonly users: readonly PlannedUser[];
  readonly of: (userId: string) => PlannedUser;
}

export interface Examination {
  readonly exitCode: number | null;
  readonly summary: string;
  readonly findings: readonly Finding[];
  /** Those of one check. */
  readonly of: (check: string) => Finding[];
}

/**
 * A test of what the head of `<name>.sql` calls right, inside one process. `observe` does what the head commands; `right`
 * only asserts, so that an expected failure is one of the program and never one of the arrangement.
 */
export function theCase<T>(
  name: string,
  promise: string,
  observe: (the: Case) => Promise<T>,
  right: (seen: T) => void,
  { clerk, fails }: CaseOptions = {},
): void {
  observed(name, promise, () => inOneProcess(name, clerk, observe), right, fails);
}

/** The same with the real CLI. */
export function theStack<T>(
  name: string,
  promise: string,
  observe: (stack: Stack) => Promise<T>,
  right: (seen: T) => void,
  { clerk, fails }: CaseOptions = {},
): void {
  observed(name, promise, () => withCli(name, clerk, observe), right, fails);
}

function observed<T>(
  name: string,
  promise: string,
  observe: () => Promise<T>,
  right: (seen: T) => void,
  fails = false,
): void {
  describe(name, () => {
    let seen: Promise<T>;
    beforeAll(async () => {
      seen = observe();
      await seen;
    }, 240_000);
    (fails ? test.fails : test)(promise, async () => {
      right(await seen);
    });
  });
}

async function inOneProcess<T>(
  name: string,
  clerk: ClerkOptions | undefined,
  observe: (the: Case) => Promise<T>,
): Promise<T> {
  const sql = readCase(name);
  const config = settingsIn(sql);
  const on = await openTestSystems({ ...clerk, load: (url) => load(url, sql) });
  forgetEverybody(on.clerk);
  await on.restartWith(config);
  try {
    return await observe({
      on,
      async plan() {
        const plan = await on.plan(config);
        return {
          text: describePlan(plan, on.settings(config)),
          users: plan.users,
          of: (userId) => userIn(plan, userId),
        };
      },
      async doctor() {
        const { exitCode, printed } = await runCommand(on, "doctor", ["--json"], { config });
        const { findings, summary } = examination.parse(JSON.parse(printed));
        return {
          exitCode,
          summary,
          findings,
          of: (check) => findings.filter((finding) => finding.check === check),
        };
      },
      async up() {
        const { users } = await on.plan(config);
        for (const { declared } of users) if (declared !== null) await ensureUser(on.systems, declared);
      },
    });
  } finally {
    await on.close();
  }
}

async function withCli<T>(
  name: string,
  clerk: ClerkOptions | undefined,
  observe: (stack: Stack) => Promise<T>,
): Promise<T> {
  const sql = readCase(name);
  const stack = await startStack({ ...clerk, load: (url) => load(url, sql) });
  forgetEverybody(stack.clerk);
  await stack.configure({ bypassDeviceTrust: "true", ...settingsIn(sql) });
  try {
    return await observe(stack);
  } finally {
    await stack.stop();
  }
}

function readCase(name: string): string {
  return readFileSync(join(folder, `${name}.sql`), "utf8");
}

/** What the head says to set: a line for each setting, its value without spaces. */
function settingsIn(sql: string): Record<string, string> {
  const [, block = ""] = /^-- settings:(.*?)^-- commands:/ms.exec(sql) ?? [];
  const lines = block.matchAll(/^(?:--)? +([a-z]\w*): (\S+)$/gim);
  return Object.fromEntries(
    [...lines].flatMap(([, key, value]) => (key === undefined || value === undefined ? [] : [[key, value]])),
  );
}

async function load(databaseUrl: string, sql: string): Promise<void> {
  await connected(databaseUrl, (client) => client.query(sql));
}

function forgetEverybody({ store }: LocalClerk): void {
  for (const id of [...store.users.keys()]) store.removeUser(id);
}

function userIn({ users }: Plan, userId: string): PlannedUser {
  const found = users.find((user) => user.userId === userId);
  if (found === undefined) throw new Error(`The plan has no row ${userId}.`);
  return found;
}

const examination = z.object({
  summary: z.string(),
  findings: z.array(
    z.object({
      check: z.string(),
      status: z.enum(["ok", "note", "problem", "unknown"]),
      sentence: z.string(),
      remedy: z.string(),
    }),
  ),
});

/** The rows of a case's users table, by its key. */
export async function rowsOf<T extends object>(
  databaseUrl: string,
  query = "select * from users order by 1",
) {
  return connected(databaseUrl, async (client) => (await client.query<T>(query)).rows);
}
