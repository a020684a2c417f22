import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { expect, test } from "vitest";

import { startClerk } from "../../sandbox/clerk/server";
import { loadSample } from "../../sandbox/sample-users";
import { clerkSettings } from "../../sandbox/sandbox";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { testDatabase } from "../database";

const checkout = resolve(__dirname, "../..");

test("npm start goes there and back, and touches no database or Clerk that the environment or .env names", async () => {
  const database = await testDatabase();
  await loadSample(database.url);
  const clerk = await startClerk();
  const before = await snapshotDatabase(database.url);
  const theirs = clerkSettings(database.url, clerk);
  // A checkout of the same files, so that no test writes a .env into somebody's own.
  const directory = await mkdtemp(join(tmpdir(), "clerk-migration-checkout-"));
  try {
    const files = (await readdir(checkout)).filter((name) => !name.startsWith("."));
    for (const name of files) await symlink(join(checkout, name), join(directory, name));
    const lines = Object.entries(theirs).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(directory, ".env"), lines.join(""));

    const child = spawn(process.execPath, ["--import", "tsx", "commands/start.ts"], {
      cwd: directory,
      env: { ...process.env, ...theirs, PULUMI_STACK: "theirs", MIGRATE_EMAIL: "nobody@example.com" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    await once(child, "close");

    expect(child.exitCode, output).toBe(0);
    expect(output).toContain("has signed in to Clerk with the old password");
    expect(output).toContain("Both systems are as they were before.");
    expect(clerk.store.requests).toEqual([]);
    expect(describeDifference(before, await snapshotDatabase(database.url))).toEqual([]);
    expect((await readdir(directory)).sort()).toEqual([...files, ".env"].sort());
  } finally {
    await rm(directory, { recursive: true });
    await clerk.stop();
    await database.drop();
  }
}, 120_000);
