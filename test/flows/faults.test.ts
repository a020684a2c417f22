import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { clerkUser } from "../../sandbox/clerk/new-user";
import { signIn } from "../../sandbox/clerk/sign-in";
import { connected } from "../../sandbox/postgres";
import { sampleUsers } from "../../sandbox/sample-users";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { type Stack, startStack } from "./stack";

const legacy = sampleUsers.filter((user) => user.clerkUserId === null);
const first = legacy[0];
if (first === undefined) throw new Error("the sample has no legacy user");

let stack: Stack;
afterEach(async () => {
  expect(await stack.stop()).toEqual([]);
});

test("migrates one user alone, by address, whatever its case, and nobody twice", async () => {
  stack = await startStack();

  const run = await stack.up({ MIGRATE_EMAIL: ` ${first.email.toUpperCase()}` });

  expect(run.exitCode, run.output).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)?.emailAddresses[0]?.emailAddress).toBe(first.email);
  expect(stack.clerk.store.outbox).toHaveLength(1);
  expect((await stack.outputs()).summary).toMatchObject({ processed: 1, migrated: 1, excluded: 43 });

  const rest = await stack.up();
  expect(rest.exitCode, rest.output).toBe(0);
  expect((await stack.outputs()).summary).toMatchObject({ processed: 36, migrated: 36, excluded: 8 });
  expect(stack.clerk.store.outbox).toHaveLength(36);

  const nobody = await stack.up({ MIGRATE_EMAIL: "nobody@example.com" });
  expect(nobody.exitCode).toBe(1);
  expect(nobody.output).toContain("No row of the users table has the address asked for (n***y@example.com).");
  expect(nobody.output).not.toContain("    at ");
});

test("reset creates users without a password, who are told so", async () => {
  stack = await startStack();
  await stack.configure({ passwords: "reset" });

  const preview = await stack.pulumi(["preview"]);
  const run = await stack.up();

  expect(preview.output).toContain("Passwords: 36 set a new one, for whom the mail is the way in");
  expect(run.exitCode, run.output).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)?.password).toBeNull();
  expect(
    (await signIn(stack.clerk.issuer, { identifier: first.email, password: first.password })).status,
  ).not.toBe("complete");
});

test("an address that Clerk has already blocks that row alone, is adopted on a decision, and never deleted", async () => {
  stack = await startStack();
  const other = clerkUser({ id: "user_other", email: first.email });
  stack.clerk.store.putUser(other);

  const run = await stack.up();

  expect(run.exitCode, run.output).toBe(0);
  const outputs = await stack.outputs();
  expect(outputs.summary).toMatchObject({ processed: 35, migrated: 35, failed: 0, blocked: 1 });
  expect(outputs.blocked).toEqual([
    {
      userId: first.userId,
      reason: "Clerk has a user with this address already (user_other)",
      remedy: expect.stringContaining("Adopt that user") as string,
    },
  ]);
  expect(outputs.counts).toMatchObject({ linked: 43, legacy: 1 });

  const decisions = join(stack.directory, "decisions.yaml");
  await writeFile(decisions, `${first.userId}:\n  adopt: true\n`);
  await stack.configure({ decisions });
  expect((await stack.up()).exitCode).toBe(0);
  expect((await stack.outputs()).summary).toMatchObject({ migrated: 35, adopted: 1, failed: 0, blocked: 0 });
  expect(stack.clerk.store.outbox).toHaveLength(35);

  expect((await stack.destroy()).exitCode).toBe(0);
  expect(stack.clerk.store.users.get("user_other")).toEqual({
    ...other,
    updatedAt: stack.clerk.store.users.get("user_other")?.updatedAt,
  });
});

test("strict refuses to run while a row is blocked, after having said which", async () => {
  stack = await startStack();
  stack.clerk.store.putUser(clerkUser({ id: "user_other", email: first.email }));
  await stack.configure({ strict: "true" });
  const preview = await stack.pulumi(["preview"]);
  expect(preview.exitCode).not.toBe(0);
  expect(preview.output).toContain("Clerk has a user with this address already (user_other)");
  expect(preview.output).toContain("1 rows are blocked, and strict is set.");
  expect((await stack.up()).exitCode).not.toBe(0);
  expect(stack.clerk.store.requests.filter((request) => request.wrote)).toEqual([]);
});

test("whom somebody deleted in Clerk fails alone, until a decision makes the user anew or lets go of it", async () => {
  stack = await startStack();
  expect((await stack.up()).exitCode).toBe(0);
  const decisions = join(stack.directory, "decisions.yaml");
  await stack.configure({ decisions });
  const remove = () => {
    const { id = "" } = stack.clerk.store.userByExternalId(first.userId) ?? {};
    stack.clerk.store.removeUser(id);
  };
  remove();
  expect((await stack.pulumi(["refresh", "--yes"])).exitCode).toBe(0);
  const gone = await stack.up();
  expect(gone.exitCode).not.toBe(0);
  expect(gone.output).toContain(`User ${first.userId} was deleted in Clerk`);

  await writeFile(decisions, `${first.userId}:\n  recreate: true\n`);
  expect((await stack.up()).exitCode).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeDefined();
  const again = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
  expect(again.exitCode, again.output).toBe(0);

  remove();
  await writeFile(decisions, `${first.userId}:\n  forget: true\n`);
  const forgotten = await stack.up();
  expect(forgotten.exitCode, forgotten.output).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeUndefined();
  const { rows } = await connected(stack.databaseUrl, (client) =>
    client.query("select 1 from users where user_id = $1 and clerk_user_id is null", [first.userId]),
  );
  expect(rows).toHaveLength(1);
  const settled = await stack.pulumi(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
  expect(settled.exitCode, settled.output).toBe(0);
  expect((await stack.outputs()).counts).toMatchObject({ linked: 43, legacy: 1 });
  expect(stack.clerk.store.outbox).toHaveLength(36);
});

test("a refused invitation undoes and blocks nobody, and the next up sends it", async () => {
  stack = await startStack();
  const body = { errors: [{ code: "invitations_not_supported_in_instance", message: "not supported" }] };
  stack.clerk.faults.add({
    on: "POST /invitations",
    times: 3,
    effect: { type: "answer", status: 400, body },
  });

  const run = await stack.up();

  expect(run.exitCode, run.output).toBe(0);
  expect(run.output).toContain("Not told, next up tries again: User ");
  expect((await stack.outputs()).summary).toMatchObject({ migrated: 36, failed: 0 });
  expect((await stack.outputs()).notifications).toMatchObject({ sent: 33, failed: 3, pending: 0 });

  const next = await stack.up();
  expect(next.exitCode, next.output).toBe(0);
  expect((await stack.outputs()).notifications).toMatchObject({
    sent: 36,
    failed: 0,
    pending: 0,
    failures: [],
  });
  expect(new Set(stack.clerk.store.outbox.map((mail) => mail.to)).size).toBe(36);
  expect(stack.clerk.store.outbox).toHaveLength(36);
});

test("says what is wrong with key, database, settings and table in sentences, and writes nothing", async () => {
  stack = await startStack();
  const elsewhere = new URL(stack.databaseUrl);
  elsewhere.pathname = "/no_such_database";

  const wrongKey = await stack.up({ CLERK_SECRET_KEY: "sk_test_wrong" });
  const noDatabase = await stack.up({ DATABASE_URL: elsewhere.href });
  const refused = await stack.up({ DATABASE_URL: "postgres://app:s3cret@127.0.0.1:1/app" });
  const missing = await stack.up({ DATABASE_URL: "", CLERK_SECRET_KEY: "" });
  const otherIssuer = await stack.up({ CLERK_ISSUER_URL: "https://clerk.other.example" });
  await connected(stack.databaseUrl, (client) =>
    client.query("alter table users rename column clerk_user_id to clerk_id"),
  );
  const noColumn = await stack.up();

  expect(wrongKey.output).toContain("Clerk does not know the key in CLERK_SECRET_KEY.");
  expect(noDatabase.output).toContain('database "no_such_database" does not exist');
  expect(refused.output).toContain("Postgres does not answer at the address in DATABASE_URL");
  expect(refused.output).not.toContain("s3cret");
  expect(missing.output).toContain("2 settings need your attention:");
  expect(missing.output).toContain("DATABASE_URL is not set");
  expect(missing.output).toContain("CLERK_SECRET_KEY is not set");
  expect(otherIssuer.output).toContain("does not belong to the instance of CLERK_SECRET_KEY");
  expect(noColumn.output).toContain("users lacks the column clerk_user_id.");
  expect(noColumn.output).toContain("Perhaps it has clerk_id for clerk_user_id: then correct the settings.");
  expect(noColumn.output).toContain('alter table "users" add column "clerk_user_id" text unique');
  for (const run of [wrongKey, noDatabase, refused, missing, otherIssuer, noColumn]) {
    expect(run.exitCode).not.toBe(0);
    expect(run.output).not.toMatch(/^\s+at /m);
  }
  expect(stack.clerk.store.requests.filter((request) => request.wrote)).toEqual([]);
});

test("ROLLBACK=unlink keeps the Clerk users and clears links and marks", async () => {
  stack = await startStack();
  const before = await snapshotDatabase(stack.databaseUrl);
  expect((await stack.up({ MIGRATE_EMAIL: first.email })).exitCode).toBe(0);

  const run = await stack.destroy({ ROLLBACK: "unlink" });

  expect(run.exitCode, run.output).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)?.privateMetadata).toEqual({});
  expect(describeDifference(before, await snapshotDatabase(stack.databaseUrl))).toEqual([]);
});

test("a protected user stays, and destroy says whom it kept", async () => {
  stack = await startStack();
  expect((await stack.up({ MIGRATE_EMAIL: first.email })).exitCode).toBe(0);
  const type = "pulumi-nodejs:dynamic/clerk:Migration$pulumi-nodejs:dynamic/clerk:User";
  const urn = `urn:pulumi:sandbox::clerk-migration::${type}::${first.userId}`;
  expect((await stack.state("protect", urn)).exitCode).toBe(0);

  const kept = await stack.destroy();

  expect(kept.exitCode).not.toBe(0);
  expect(kept.output).toContain(first.userId);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeDefined();
  expect((await stack.state("unprotect", urn)).exitCode).toBe(0);
  expect((await stack.destroy()).exitCode).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeUndefined();
});

test("state that somebody has damaged is mended by the next up, and stops a destroy with a sentence", async () => {
  stack = await startStack();
  expect((await stack.up({ MIGRATE_EMAIL: first.email })).exitCode).toBe(0);
  const file = join(stack.directory, "state/.pulumi/stacks/clerk-migration/sandbox.json");
  const damaged = (await readFile(file, "utf8")).replaceAll('"origin":"created"', '"origin":7');
  await writeFile(file, damaged);

  const destroy = await stack.destroy();
  expect(destroy.exitCode).not.toBe(0);
  expect(destroy.output).toContain("has another form than this version reads (origin)");
  expect(destroy.output).not.toMatch(/^\s+at /m);

  const up = await stack.up({ MIGRATE_EMAIL: first.email });
  expect(up.exitCode, up.output).toBe(0);
  expect((await stack.destroy()).exitCode).toBe(0);
  expect(stack.clerk.store.userByExternalId(first.userId)).toBeUndefined();
});
