import { expect } from "vitest";

import { connected } from "../../sandbox/postgres";
import { type Checkout, openCheckout } from "../checkout";
import type { Run, Stack } from "../stack";
import { rowsOf, theStack } from "./the-case";

interface Row {
  readonly clerk_user_id: string | null;
}

/** Who is in Clerk, and to whom the rows lead. */
async function both({ clerk, databaseUrl }: Stack) {
  const links = (await rowsOf<Row>(databaseUrl)).map((row) => row.clerk_user_id ?? "");
  return { people: [...clerk.store.users.keys()].toSorted(), links: links.toSorted() };
}

const yes = ["--yes", "--non-interactive"];

/** Two users, made by the stack `a`; then `change`, and once more `up`. */
async function before(
  stack: Stack,
  change: (checkout: Checkout) => Promise<{ readonly name: string; readonly runs: readonly Run[] }>,
) {
  // The stacks here have names of their own.
  const checkout = await openCheckout({ ...stack.environment, PULUMI_STACK: "" });
  try {
    const made = [
      await checkout.command("pulumi", ["stack", "init", "a", "--non-interactive"]),
      await checkout.command("run", ["up", "--stack", "a", ...yes]),
    ];
    const first = await both(stack);
    const { name, runs } = await change(checkout);
    const preview = await checkout.command("run", ["preview", "--stack", name, "--non-interactive"]);
    const wrote = stack.clerk.store.requests.length;
    const up = await checkout.command("run", ["up", "--stack", name, ...yes, "--skip-preview"]);
    const deletes = stack.clerk.store.requests.slice(wrote).filter(({ method }) => method === "DELETE");
    for (const { exitCode, output } of [...made, ...runs]) if (exitCode !== 0) throw new Error(output);
    if (first.people.length !== 2) throw new Error("Nobody was made.");
    return { first, preview, up, deletes: deletes.length, after: await both(stack) };
  } finally {
    await checkout.remove();
  }
}

/** Taken over or stopped with a sentence: in either case nobody is deleted. */
function nobodyIsDeleted({ first, preview, deletes, after }: Awaited<ReturnType<typeof before>>): void {
  expect(preview.output).not.toMatch(/\d to delete/);
  expect(deletes).toBe(0);
  expect(after).toEqual(first);
  expect(after.links).toEqual(after.people);
}

theStack(
  "f01-stack-rename",
  "renaming a stack deletes nobody",
  (stack) =>
    before(stack, async (checkout) => ({
      name: "b",
      runs: [await checkout.command("pulumi", ["stack", "rename", "b", "--stack", "a", "--non-interactive"])],
    })),
  nobodyIsDeleted,
);

theStack(
  "f01-project-rename",
  "renaming the project deletes nobody",
  (stack) =>
    before(stack, async (checkout) => {
      const renamed = "organization/other-name/a";
      const rename = ["stack", "rename", renamed, "--stack", "a", "--non-interactive"];
      const runs = [await checkout.command("pulumi", rename)];
      await checkout.project({ name: "other-name" });
      return { name: "a", runs };
    }),
  nobodyIsDeleted,
);

theStack(
  "f01-ledger-emptied",
  "an emptied ledger deletes nobody",
  (stack) =>
    before(stack, async () => {
      await connected(stack.databaseUrl, (client) => client.query("truncate clerk_migration.users cascade"));
      return { name: "a", runs: [] };
    }),
  nobodyIsDeleted,
);
