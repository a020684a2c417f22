import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { signIn } from "../../sandbox/clerk/sign-in";
import { connected } from "../../sandbox/postgres";
import { clerkOnlyUsers, sampleUsers } from "../../sandbox/sample-users";
import { factsOf } from "../facts";
import { holds } from "../holds";
import {
  asBefore,
  everybodyMigrated,
  everybodyTold,
  type Facts,
  type Given,
  givenBy,
  holdsAlways,
  nothingChanged,
  profilesFollow,
} from "../invariants";
import { type Stack, startStack } from "./stack";

const legacy = sampleUsers.filter((user) => user.clerkUserId === null);
const written = (stack: Stack) => stack.clerk.store.requests.filter((request) => request.wrote);

/** Told in order: each test goes on where the one before it ended. */
describe("36 of 44 users, there and back", () => {
  let stack: Stack;
  let before: Facts;
  let given: Given;
  let printed = "";

  beforeAll(async () => {
    stack = await startStack();
    before = await factsOf(stack);
    given = givenBy(before, { mailsAllowed: new Map(legacy.map(({ email }) => [email, 1])) });
  });
  afterAll(async () => {
    expect(await stack.stop()).toEqual([]);
  });

  test("preview lists 36 users and writes nothing, with a role that may only select", async () => {
    await connected(stack.databaseUrl, (client) =>
      client.query(
        "drop role if exists reader; create role reader login; grant select on all tables in schema public to reader",
      ),
    );
    const url = new URL(stack.databaseUrl);
    url.username = "reader";

    const run = await stack.pulumi(["preview"], { DATABASE_URL: url.href });

    expect(run.exitCode).toBe(0);
    for (const [index, user] of legacy.toSorted((a, b) => (a.userId < b.userId ? -1 : 1)).entries()) {
      expect(run.output).toMatch(
        new RegExp(
          ` ?${(index + 1).toString()}/36 .* ${user.userId}  created ${user.createdAt.slice(0, 10)}`,
        ),
      );
    }
    expect(run.output).toContain("44 rows: 36 to create, 0 blocked, 8 left out");
    expect(run.output).not.toMatch(/migrated/i);
    expect(nothingChanged(before, await factsOf(stack))).toEqual([]);
    expect(written(stack)).toEqual([]);
    await connected(stack.databaseUrl, (client) => client.query("drop owned by reader; drop role reader"));
    printed += run.output;
  });

  test("up creates, links and invites 36 users, and changes nothing but clerk_user_id", async () => {
    const run = await stack.up();

    expect(run.exitCode, run.output).toBe(0);
    const { users, outbox } = stack.clerk.store;
    expect(users.size).toBe(36 + 8 + clerkOnlyUsers.length);
    expect(outbox.map((mail) => mail.to).sort()).toEqual(legacy.map((user) => user.email).sort());
    const now = await factsOf(stack);
    for (const promise of [holdsAlways, everybodyMigrated, everybodyTold, profilesFollow])
      expect(promise(given, now)).toEqual([]);
    const links = await connected(stack.databaseUrl, (client) =>
      client.query<{ user_id: string; clerk_user_id: string }>(
        "select user_id::text, clerk_user_id from users",
      ),
    );
    for (const { user_id, clerk_user_id } of links.rows) {
      const sample = sampleUsers.find((user) => user.userId === user_id);
      const linked = users.get(clerk_user_id);
      expect(linked?.emailAddresses[0]?.emailAddress).toBe(sample?.email);
      if (sample?.clerkUserId === null) {
        expect(linked?.externalId).toBe(user_id);
        expect(new Date(linked?.createdAt ?? 0).toISOString()).toBe(sample.createdAt);
      }
    }
    printed += run.output;
  });

  test("a second up changes nothing and exports the same", async () => {
    const [migrated, outputs] = [await factsOf(stack), await stack.outputs()];
    const writes = written(stack).length;

    const run = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);

    expect(run.exitCode, run.output).toBe(0);
    expect(nothingChanged(migrated, await factsOf(stack))).toEqual([]);
    expect(written(stack)).toHaveLength(writes);
    expect(await stack.outputs()).toEqual(outputs);
    expect(outputs).toEqual({
      counts: { total: 44, linked: 44, legacy: 0, withPassword: 39 },
      summary: { processed: 36, migrated: 36, adopted: 0, failed: 0, blocked: 0, excluded: 8 },
      funnel: {
        legacy: 36,
        created: 36,
        linked: 36,
        told: 36,
        signedIn: 0,
        digestsRetired: 0,
        digestsPurged: 0,
      },
      failed: [],
      blocked: [],
      notifications: { sent: 36, rehearsed: 0, failed: 0, unknown: 0, pending: 0, failures: [] },
    });
    printed += run.output;
  });

  test("state, ledger and everything printed hold no digest, key, address, name or invitation link", async () => {
    const state = await readFile(
      join(stack.directory, "state/.pulumi/stacks/clerk-migration/sandbox.json"),
      "utf8",
    );
    const ledger = await connected(stack.databaseUrl, async (client) => {
      const rows: string[] = [];
      for (const table of ["users", "notifications", "retired_passwords", "runs", "events"]) {
        const dump = await client.query<{ row: string }>(
          `select row::text from clerk_migration.${table} row`,
        );
        rows.push(...dump.rows.map(({ row }) => row));
      }
      return rows.join("\n");
    });

    const searched = { state, ledger, printed };
    const forbidden = [
      stack.clerk.secretKey,
      ...[...stack.clerk.store.invitations.values()].flatMap(({ url, ticket }) => [url, ticket]),
      ...sampleUsers.flatMap(({ email, name, passwordDigest }) => [email, name, passwordDigest]),
    ].filter((secret) => secret !== null);
    for (const [where, text] of Object.entries(searched)) {
      expect(text.length, where).toBeGreaterThan(1_000);
      expect(
        forbidden.filter((secret) => holds(text, secret)),
        where,
      ).toEqual([]);
    }
  });

  test("the old password signs in to Clerk, and the sign-in shows as no drift", async () => {
    const user = legacy[0];
    const result = await signIn(stack.clerk.issuer, {
      identifier: user?.email ?? "",
      password: user?.password ?? "",
    });
    expect(result.status).toBe("complete");

    const drift = await stack.pulumi(["refresh", "--preview-only", "--expect-no-changes"]);
    expect(drift.exitCode, drift.output).toBe(0);
    const refreshed = await stack.pulumi(["refresh", "--yes", "--skip-preview"]);
    expect(refreshed.exitCode, refreshed.output).toBe(0);
  });

  test("destroy refuses whoever has signed in, and rolls back everybody else", async () => {
    const run = await stack.destroy();

    expect(run.exitCode).not.toBe(0);
    expect(run.output).toContain(
      `User ${legacy[0]?.userId ?? ""} has signed in with Clerk since the migration and was not rolled back.`,
    );
    expect(stack.clerk.store.users.size).toBe(1 + 8 + clerkOnlyUsers.length);
  });

  test("a forced destroy restores both systems to the byte", async () => {
    const run = await stack.destroy({ ROLLBACK_SIGNED_IN: "delete" });

    expect(run.exitCode, run.output).toBe(0);
    expect(asBefore(given, await factsOf(stack))).toEqual([]);
  });
});
