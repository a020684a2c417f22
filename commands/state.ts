import { z } from "zod";

import { askPulumi } from "./pulumi-cli/ask";
import type { SelectedStack } from "./selected-stack";

const USER = "pulumi-nodejs:dynamic/clerk:User";

/** What Pulumi calls the resource of a user. */
export function urnOfUser({ name, project }: SelectedStack, userId: string): string {
  return `urn:pulumi:${name}::${project}::pulumi-nodejs:dynamic/clerk:Migration$${USER}::${userId}`;
}

const exportSchema = z.object({
  deployment: z.object({ resources: z.array(z.object({ type: z.string(), urn: z.string() })).default([]) }),
});

/** The URNs of the users whom the state lists; null where it cannot be read: no back end, no such stack, no CLI. */
export async function usersInState({ cliName }: SelectedStack): Promise<string[] | null> {
  const { isAnswered, text } = await askPulumi(["stack", "export", "--stack", cliName]);
  if (!isAnswered) return null;
  const { resources } = exportSchema.parse(JSON.parse(text)).deployment;
  return resources.filter(({ type }) => type === USER).map(({ urn }) => urn);
}
