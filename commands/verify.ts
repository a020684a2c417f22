import { parseArgs } from "node:util";

import { z } from "zod";

import { MigrationError } from "../providers/errors";
import { clerkOf, observeStack } from "../providers/observe";
import { makePlan } from "../providers/plan";
import { readOnly } from "../providers/postgres/database";
import { readReferences } from "../providers/postgres/references";
import { type Evidence, judgeEvidence, tryCanary } from "../providers/verify";
import { command } from "./command";
import { withDatabase } from "./database";
import { findingLine } from "./finding-line";
import { runPulumi } from "./pulumi-cli/run";
import { type ChosenStack, settingsOfStack, stackOptions } from "./settings";

/**
 * `npm run verify [-- --json]`: whether everything that a migration promises holds, a line for each check. Exit code 0
 * only if all of them are fine, 2 if one cannot be told, 1 otherwise.
 */
void command(async (args) => {
  const { values } = parseArgs({ args: [...args], options: { ...stackOptions, json: { type: "boolean" } } });
  const chosen = await settingsOfStack(values);
  const findings = judgeEvidence(await gather(chosen));
  process.stdout.write(
    values.json ? `${JSON.stringify(findings, undefined, 2)}\n` : `${findings.map(findingLine).join("\n")}\n`,
  );
  if (findings.some(({ status }) => status === "problem")) return 1;
  return findings.some(({ status }) => status === "unknown") ? 2 : 0;
});

async function gather(chosen: ChosenStack): Promise<Evidence> {
  const { settings } = chosen;
  // One limiter in front of every request.
  const clerk = clerkOf(settings);
  return withDatabase(settings.databaseUrl, async (database) => {
    const world = await observeStack(settings, database, chosen, clerk);
    const plan = makePlan(world, settings);
    const references = await readOnly(database, (connection) => readReferences(connection, settings.table));
    const clerkUsers = await clerk.allUsers();
    const canaries: Evidence["canaries"][number][] = [];
    for (const canary of canariesIn(process.env)) canaries.push(await tryCanary(clerk, plan, canary));
    return { world, plan, clerkUsers, references, canaries, inState: await usersInState(chosen) };
  });
}

/** CANARY_EMAIL and CANARY_PASSWORD, each one or several between commas, in the same order. */
function canariesIn(environment: NodeJS.ProcessEnv): { email: string; password: string }[] {
  const list = (name: string) => (environment[name] ?? "").split(",").filter((item) => item.trim() !== "");
  const [emails, passwords] = [list("CANARY_EMAIL"), list("CANARY_PASSWORD")];
  if (emails.length !== passwords.length) {
    throw new MigrationError(
      "canaries",
      `CANARY_EMAIL has ${emails.length.toString()} addresses and CANARY_PASSWORD ${passwords.length.toString()} passwords.`,
      "Give one password for each address, between commas.",
    );
  }
  return emails.map((email, index) => ({ email, password: passwords[index] ?? "" }));
}

const exportSchema = z.object({
  deployment: z.object({ resources: z.array(z.object({ type: z.string() })).default([]) }),
});

/** null where the state cannot be read: no back end, no such stack, no CLI. */
async function usersInState({ stack }: ChosenStack): Promise<number | null> {
  let text = "";
  const name = stack.slice(stack.lastIndexOf("/") + 1);
  const exitCode = await runPulumi(["stack", "export", "--stack", name, "--non-interactive"], {
    onOutput: (part) => (text += part),
    onErrors: () => undefined,
  }).catch(() => 1);
  if (exitCode !== 0) return null;
  const { resources } = exportSchema.parse(JSON.parse(text)).deployment;
  return resources.filter(({ type }) => type === "pulumi-nodejs:dynamic/clerk:User").length;
}
