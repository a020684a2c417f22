import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { type Stack, startStack } from "./stack";

/** A few are as good as all. */
const USERS = 4;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
  await stack.configure({ limit: USERS.toString(), notify: "invitation" });
});
afterAll(async () => {
  expect(await stack.stop()).toEqual([]);
});

const invitations = () => [...stack.clerk.store.invitations.values()].map(({ status }) => status);
const mailed = () => stack.clerk.store.requests.filter(({ kind }) => kind === "POST /invitations").length;

const properties = z.record(z.string(), z.unknown());
const deploymentSchema = z.looseObject({
  deployment: z.looseObject({
    resources: z.array(
      z.looseObject({
        urn: z.string(),
        type: z.string(),
        inputs: properties.optional(),
        outputs: properties.optional(),
        dependencies: z.array(z.string()).optional(),
      }),
    ),
  }),
});

/** Writes the state as the first commit that kept one did: one invitation for each user, and the profile in parts. */
async function rewriteState(): Promise<void> {
  const state = deploymentSchema.parse(JSON.parse(await stack.exportState("--show-secrets")));
  for (const resource of state.deployment.resources) {
    for (const part of ["inputs", "outputs"] as const) {
      const values = resource[part];
      if (values?.migrationId === undefined) continue;
      const known = { ...without(values, ["migrationId", "isKept"]), project: "clerk-migration" };
      if (resource.type.endsWith("clerk:User")) resource[part] = flatUser(known);
      else if (resource.type.endsWith("clerk:Notification")) resource[part] = invitation(known);
      else resource[part] = known;
    }
    resource.type = resource.type.replace("clerk:Notification", "clerk:Invitation");
    resource.urn = resource.urn.replace("clerk:Notification", "clerk:Invitation");
    resource.dependencies = resource.dependencies?.map((urn) =>
      urn.replace("clerk:Notification", "clerk:Invitation"),
    );
  }
  await stack.importState(JSON.stringify(state));
}

const secretSchema = z.looseObject({ plaintext: z.string() });

function flatUser(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const secret = secretSchema.parse(values.profile);
  const { email, firstName, lastName, createdAt, digestFingerprint } = z
    .record(z.string(), z.string())
    .parse(JSON.parse(secret.plaintext));
  const sealed = (value: string | undefined) => ({ ...secret, plaintext: JSON.stringify(value) });
  return {
    ...without(values, ["profile", "decidedEmail", "emailStatus", "adopt", "recreate"]),
    email: sealed(email),
    firstName: sealed(firstName),
    lastName: sealed(lastName),
    createdAt,
    digestFingerprint: sealed(digestFingerprint),
  };
}

function invitation(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { credentialId } = values;
  return {
    ...without(values, ["number", "way", "decidedEmail", "credentialId"]),
    ...(credentialId === undefined ? {} : { invitationId: credentialId }),
    __provider: `require("tsx/cjs");exports.handler=()=>require("./providers/clerk-invitation/provider.ts").provider`,
  };
}

function without(
  values: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}

test("a state of the first form is taken over without a mail, watched without a leak, and rolled back", async () => {
  const before = await snapshotDatabase(stack.databaseUrl);
  const first = await stack.up();
  expect(first.exitCode, first.output).toBe(0);
  expect(mailed()).toBe(USERS);

  await rewriteState();
  const watched = await stack.pulumi(["refresh", "--yes", "--skip-preview"]);
  expect(watched.exitCode, watched.output).toBe(0);
  expect(await stack.exportState()).not.toMatch(/"[^"*]+@example\.com/);
  const second = await stack.up();
  expect(second.exitCode, second.output).toBe(0);
  expect(second.output).not.toContain("deleted");
  const third = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
  expect(third.exitCode, third.output).toBe(0);
  const again = await stack.pulumi(["refresh", "--yes", "--skip-preview"]);
  expect(again.exitCode, again.output).toBe(0);
  expect(mailed()).toBe(USERS);
  expect(invitations()).toEqual(Array.from({ length: USERS }, () => "pending"));
  expect(await stack.exportState()).not.toMatch(/"[^"*]+@example\.com/);

  await rewriteState();
  const destroyed = await stack.destroy();
  expect(destroyed.exitCode, destroyed.output).toBe(0);
  expect(invitations()).toEqual(Array.from({ length: USERS }, () => "revoked"));
  expect(describeDifference(before, await snapshotDatabase(stack.databaseUrl))).toEqual([]);
});
