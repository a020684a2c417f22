import { expect } from "vitest";
import { z } from "zod";

import type { Stack } from "../stack";
import { rowsOf, theStack } from "./the-case";

interface Row {
  readonly user_id: string | number;
  readonly clerk_user_id: string | null;
}

/** What both systems hold. */
async function stateOf({ clerk, databaseUrl }: Stack) {
  const rows = await rowsOf<Row>(databaseUrl);
  const ids = [...clerk.store.users.keys()];
  const links = rows.map((row) => row.clerk_user_id);
  return { people: ids.length, links, isLinked: links.every((link) => link !== null && ids.includes(link)) };
}

/** How often a Clerk user was made, kept or not. */
function creates({ clerk }: Stack): number {
  return clerk.store.requests.filter(({ kind, wrote }) => kind === "POST /users" && wrote).length;
}

const EARLIER = 105;

theStack(
  "f02-nanoid-with-hyphen",
  "a user_id that begins with a hyphen is looked up as it is",
  async (stack) => {
    for (let number = 1; number <= EARLIER; number++) {
      await fetch(`${stack.clerk.url}/v1/users`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${stack.clerk.secretKey}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({
          email_address: [`earlier${number}@ampdial.com`],
          skip_password_requirement: true,
        }),
      });
    }
    await stack.configure({ clerkUserLimit: "1000" });
    stack.clerk.faults.add({ on: "POST /users", effect: { type: "cut-after" }, times: 1 });
    const up = await stack.up();
    const after = await stateOf(stack);
    await stack.up();
    const again = stack.clerk.store.users.size;
    const destroy = await stack.destroy();
    return { up, after, again, destroy, left: stack.clerk.store.users.size };
  },
  ({ up, after, again, destroy, left }) => {
    expect([up.exitCode, destroy.exitCode]).toEqual([0, 0]);
    expect(after).toMatchObject({ people: EARLIER + 1, isLinked: true });
    expect([again, left]).toEqual([EARLIER + 1, EARLIER]);
  },
  { clerk: { limits: { users: 1000 } } },
);

/** A table that does not take the link: what an `up` makes of it. */
const upAlone = async (stack: Stack) => {
  const up = await stack.up();
  return { up, made: creates(stack), ...(await stateOf(stack)) };
};

theStack(
  "f03-trigger-keeps-column",
  "a link that the row does not keep is none, and nobody stays in Clerk for it",
  upAlone,
  ({ up, people }) => {
    expect(up.exitCode).not.toBe(0);
    expect(up.output).toMatch(/trigger/i);
    expect(people).toBe(0);
  },
);

theStack(
  "f04-audit-trigger-setting",
  "a trigger that fails is found before anybody is made, and named",
  upAlone,
  ({ up, made }) => {
    expect(up.exitCode).not.toBe(0);
    expect(made).toBe(0);
    expect(up.output).toMatch(/trigger/i);
    expect(up.output).toContain("app.actor");
  },
);

theStack(
  "f04-check-one-way-in",
  "a constraint that forbids the link is found before anybody is made, and named",
  upAlone,
  ({ up, made }) => {
    expect(up.exitCode).not.toBe(0);
    expect(made).toBe(0);
    expect(up.output).toContain("one_way_in");
  },
);

theStack(
  "f04-trigger-vetoes",
  "a trigger that skips the update is found before anybody is made, and named",
  upAlone,
  ({ up, made }) => {
    expect(up.exitCode).not.toBe(0);
    expect(made).toBe(0);
    expect(up.output).toMatch(/trigger/i);
    expect(up.output).not.toContain("by somebody else");
  },
);

theStack(
  "f12-username-dot-and-short",
  "user names that Clerk does not take are blocked with its rule, and Clerk refuses them",
  async (stack) => {
    const up = await stack.up();
    const { blocked } = await stack.outputs();
    const codes = await Promise.all(["john.doe", "ab"].map((username) => refusalOf(stack, { username })));
    return { up, blocked, codes, people: stack.clerk.store.users.size };
  },
  ({ up, blocked, codes, people }) => {
    expect(up.exitCode).toBe(0);
    expect(blocked.map(({ userId }) => userId)).toEqual(["1", "2"]);
    for (const { reason } of blocked) expect(reason).toMatch(/4 to 64/);
    expect(codes).toEqual(["form_username_invalid_character", "form_username_invalid_length"]);
    expect(people).toBe(0);
  },
  { clerk: { settings: { attributes: { username: { enabled: true, required: false } } } } },
);

const refusal = z.object({ errors: z.array(z.object({ code: z.string() })) });

/** Clerk's code for a user who would be made with this. */
async function refusalOf({ clerk }: Stack, given: object): Promise<string | undefined> {
  const answer = await fetch(`${clerk.url}/v1/users`, {
    method: "POST",
    headers: { authorization: `Bearer ${clerk.secretKey}`, "content-type": "application/json" },
    body: JSON.stringify({ email_address: ["new@ampdial.com"], skip_password_requirement: true, ...given }),
  });
  return refusal.safeParse(await answer.json()).data?.errors[0]?.code;
}

theStack(
  "f15-transaction-timeout",
  "a timeout for transactions does not end the writer's lock",
  async (stack) => {
    stack.clerk.faults.add({ on: "POST /users", effect: { type: "delay", ms: 2_500 }, times: 6 });
    const up = await stack.pulumi(["up", "--yes", "--skip-preview", "--parallel", "1"]);
    return { up, ...(await stateOf(stack)) };
  },
  ({ up, people, isLinked }) => {
    expect(up).toMatchObject({ exitCode: 0 });
    expect(people).toBe(6);
    expect(isLinked).toBe(true);
  },
);

theStack(
  "f16-composite-key",
  "two rows with one user_id are blocked, and the others go on",
  async (stack) => {
    const preview = await stack.pulumi(["preview"]);
    const up = await stack.up();
    const again = await stack.up();
    // Nothing is exported where nothing could be declared.
    const outputs = up.exitCode === 0 ? await stack.outputs() : undefined;
    return { preview, up, again, outputs, ...(await stateOf(stack)) };
  },
  ({ preview, up, again, outputs, people, links }) => {
    expect([preview.exitCode, up.exitCode, again.exitCode]).toEqual([0, 0, 0]);
    expect(preview.output).toContain("has the same user_id as another row");
    expect(preview.output).toMatch(/view/);
    expect([preview, up, again].map(({ output }) => output).join()).not.toContain("Duplicate resource URN");
    expect(outputs?.summary).toMatchObject({ migrated: 1, blocked: 2 });
    expect(people).toBe(1);
    expect(links.filter((link) => link !== null)).toHaveLength(1);
  },
);
