import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { live } from "../scripted-life";
import { legacyUsers, type TestSystems } from "../systems";
import { runCommand } from "./run-command";

let on: TestSystems;
let directory: string;
beforeAll(async () => {
  on = await live();
  directory = await mkdtemp(join(tmpdir(), "clerk-migration-report-"));
});
afterAll(async () => {
  await on.close();
  await rm(directory, { recursive: true });
});

const report = (...args: string[]) => runCommand(on, "report", args, { config: { reveal: "true" } });

test("report writes a file that only its owner can read, even over one that everybody could, and nothing else", async () => {
  const out = join(directory, "report.html");
  await writeFile(out, "an old one", { mode: 0o644 });
  const before = on.written().length;
  const { exitCode, output } = await report("--out", out);
  expect(exitCode, output).toBe(0);
  expect(output).toBe(`${out}: 33 of 36 legacy users are in Clerk, 15 have signed in.\n`);
  expect((await stat(out)).mode & 0o777).toBe(0o600);
  expect(await readFile(out, "utf8")).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  expect(on.written()).toHaveLength(before);
});

test("report masks addresses whatever a setting says, unless it is asked itself", async () => {
  const out = join(directory, "masked.html");
  const [local = ""] = legacyUsers.at(-1)?.email.split("@") ?? [];
  await report("--out", out);
  expect(await readFile(out, "utf8")).not.toContain(local);
  await report("--out", out, "--reveal");
  expect(await readFile(out, "utf8")).toContain(local);
});

test("report says what to do where it cannot write", async () => {
  const { exitCode, output } = await report("--out", join(directory, "nowhere/report.html"));
  expect(exitCode).toBe(1);
  expect(output).toMatch(/^The file could not be written .* Name one in a directory that exists/);
});
