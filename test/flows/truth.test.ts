import { afterEach, describe, expect, test } from "vitest";

import type { InstanceSettingsInput } from "../../sandbox/clerk/settings";
import { addDirtyClerkUsers, dirtyTable, dirtyUsers, loadDirty } from "../../sandbox/dirty-users";
import { connected } from "../../sandbox/postgres";
import { type Stack, startStack } from "./stack";

let stack: Stack;
afterEach(async () => {
  expect(await stack.stop()).toEqual([]);
});

interface Life {
  readonly title: string;
  readonly instance?: InstanceSettingsInput;
  readonly settings?: Readonly<Record<string, string>>;
  readonly users?: number;
  readonly announces?: RegExp;
}

const off = { enabled: false, required: false };
const required = { enabled: true, required: true };

const lives: readonly Life[] = [
  { title: "as they come" },
  { title: "with adoption", settings: { existing: "adopt" }, announces: /[1-9] to adopt/ },
  { title: "a wave of ten", settings: { limit: "10" }, announces: / rows: 10 to create/ },
  { title: "a quarter", settings: { percent: "25" } },
  { title: "a condition", settings: { where: "u.id % 3 = 0" } },
  {
    title: "nobody proven",
    settings: { emailVerified: "none", unverified: "block" },
    announces: /: 0 to create/,
  },
  { title: "reserved addresses", settings: { emailVerified: "none" } },
  { title: "passwords reset", settings: { passwords: "reset" } },
  {
    title: "an instance that requires a last name",
    instance: { attributes: { last_name: required } },
    announces: /Clerk requires more than the row has \(last name\)/,
  },
  {
    title: "an instance without passwords",
    instance: { attributes: { password: off } },
    announces: /passwords are off in Clerk/,
  },
  {
    title: "an instance that asks for consent",
    instance: { legalConsentRequired: true },
    announces: /Clerk asks for consent/,
  },
  { title: "more than the instance holds", users: 160, announces: /the Clerk instance is full/ },
];

describe("what the real preview announces is what the real up then does", () => {
  test.each(lives)("$title", async ({ instance, settings = {}, users = 60, announces }) => {
    stack = await startStack({
      load: (url) => loadDirty(url, users),
      ...(instance === undefined ? {} : { settings: instance }),
    });
    stack.clerk.store.users.forEach(({ id }) => {
      stack.clerk.store.removeUser(id);
    });
    addDirtyClerkUsers(stack.clerk.store, users);
    await stack.configure({ ...dirtyTable, notify: "none", ...settings });
    const before = stack.clerk.store.users.size;

    const preview = await stack.pulumi(["preview"], { MIGRATE_ALLOW_UNDELIVERABLE: "" });
    expect(preview.exitCode, preview.output).toBe(0);
    expect(stack.clerk.store.users.size).toBe(before);
    if (announces !== undefined) expect(preview.output).toMatch(announces);
    const count = (what: string) =>
      Number(
        new RegExp(`${users.toString()} rows: .*?(\\d+) to ${what}`, "m").exec(preview.output)?.[1] ?? 0,
      );

    const up = await stack.up({ MIGRATE_ALLOW_UNDELIVERABLE: "" });
    expect(up.exitCode, up.output).toBe(0);
    expect(stack.clerk.store.users.size - before).toBe(count("create"));
    expect((await stack.outputs()).summary).toMatchObject({
      migrated: count("create"),
      adopted: count("adopt"),
      failed: 0,
    });
    const { rows } = await connected(stack.databaseUrl, (client) =>
      client.query<{ linked: number }>("select count(clerk_id)::int as linked from app.accounts"),
    );
    const linkedBefore = dirtyUsers(users).filter(({ clerk_id }) => clerk_id !== null).length;
    expect(rows[0]?.linked).toBe(linkedBefore + count("create") + count("adopt"));
  });
});
