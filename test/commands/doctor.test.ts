import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";

import { clerkUser } from "../../sandbox/clerk/new-user";
import { openTestSystems, SARAH, type TestSystems } from "../systems";
import { runCommand } from "./run-command";

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
});
afterEach(() => on.close());

const run = (...args: Parameters<typeof runCommand> extends [unknown, ...infer Rest] ? Rest : never) =>
  runCommand(on, ...args);

test("doctor exits 0 where nothing is wrong, and writes nothing", async () => {
  const { exitCode, output } = await run("doctor");
  expect(exitCode, output).toBe(0);
  expect(output).toMatch(/^ok +instance\/key +The key is for the development instance /m);
  expect(output).toMatch(/^ok +database\/update /m);
  expect(output).toMatch(/^ok +rows +No row is blocked\.$/m);
  expect(output).toContain("44 rows: 36 to create");
  expect(on.written()).toEqual([]);
});

test("doctor exits 1 for a blocked row, a wrong key or a missing setting, with the remedy", async () => {
  on.clerk.store.putUser(clerkUser({ id: "user_other", email: SARAH.email }));
  const blocked = await run("doctor", ["--json"]);
  expect(blocked.exitCode).toBe(1);
  expect(JSON.parse(blocked.output)).toMatchObject({
    findings: expect.arrayContaining([
      expect.objectContaining({ check: "rows/email-taken", status: "problem" }),
    ]) as unknown,
  });
  const wrongKey = await run("doctor", [], { environment: { CLERK_SECRET_KEY: "sk_test_wrong" } });
  expect(wrongKey.exitCode).toBe(1);
  expect(wrongKey.output).toContain("Clerk does not know the key");
  const missing = await run("doctor", [], { environment: { DATABASE_URL: "" } });
  expect(missing.exitCode).toBe(1);
  expect(missing.output).toContain("DATABASE_URL is not set");
  for (const { output } of [blocked, wrongKey, missing]) expect(output).not.toMatch(/^\s+at /m);
});

test("doctor exits 2 where something cannot be told", async () => {
  const { exitCode, output } = await run("doctor", [], { config: { bypassDeviceTrust: "false" } });
  expect(exitCode).toBe(2);
  expect(output).toMatch(/^unknown +instance\/device-trust /m);
});

test("plan lists every row for machines, masked, in JSON and in CSV", async () => {
  const { users, counts } = z
    .object({
      counts: z.looseObject({ create: z.number() }),
      users: z.array(z.looseObject({ userId: z.string(), verdict: z.string(), code: z.string() })),
    })
    .parse(JSON.parse((await run("plan", ["--json"])).output));
  expect(counts).toMatchObject({ create: 36, excluded: 8 });
  expect(users).toHaveLength(44);
  const csv = (await run("plan", ["--csv"])).output;
  expect(csv.split("\n")[0]).toBe("userId,label,verdict,code,reason,remedy");
  expect(csv.trim().split("\n")).toHaveLength(45);
  expect(csv).not.toContain(SARAH.email);
  expect(JSON.stringify(users)).not.toContain(SARAH.email);
});
