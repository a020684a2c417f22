import { z } from "zod";

import { canariesIn } from "../providers/canaries";
import { clerkOf, observeStack } from "../providers/observe";
import { makePlan } from "../providers/plan";
import { readOnly } from "../providers/postgres/database";
import { readReferences } from "../providers/postgres/references";
import { type Evidence, tryCanary } from "../providers/verify";
import { withDatabase } from "./database";
import { runPulumi } from "./pulumi-cli/run";
import type { ChosenStack } from "./settings";

/** What both systems and the state say of a stack; writes nothing. */
export async function gatherEvidence(chosen: ChosenStack): Promise<Evidence> {
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
