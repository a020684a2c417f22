import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { nextStep } from "../../../examples/backend/trickle";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { readUser } from "../../../providers/postgres/ledger-users";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { SARAH } from "../../systems";
import { openBackend, type TestBackend } from "./backend";

const { userId, email, password } = SARAH;

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend({ TRICKLE: "on" });
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

const sarah = () => backend.on.live(userId);
const patches = () => backend.on.written().filter((kind) => kind === "PATCH /users/{user_id}").length;
const requests = () => backend.on.clerk.store.requests.length;
const ledger = () => readUser(backend.on.systems.database, backend.on.migration, userId);
const trickled = () => backend.on.query<{ at: Date | null }>("select at from trickled_passwords");
const events = () =>
  backend.on.query("select user_id, stack, status from clerk_migration.events where subject = 'trickle'");
const enterClerk = () => signIn(backend.on.clerk.issuer, { identifier: email, password });
/** As if a minute had passed since the last try. */
const later = () =>
  backend.on.query("update trickled_passwords set started_at = now() - interval '2 minutes'");
const outputs = async () => ensureUser(backend.on.systems, await backend.on.declared(userId));

test("sets the password in Clerk at a legacy login, so that nobody has to reset it", async () => {
  await backend.migrate(SARAH, "reset");
  expect(await enterClerk()).toMatchObject({ status: "refused" });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  expect(sarah()?.password).not.toBeNull();
  expect(await enterClerk()).toMatchObject({ status: "complete" });
});

test("sets it once, and asks Clerk no more after that", async () => {
  await backend.migrate(SARAH, "reset");
  await backend.logIn(SARAH);
  const [writes, asked, set] = [patches(), requests(), sarah()?.password];
  await backend.logIn(SARAH);
  await backend.logIn(SARAH);
  expect([patches(), requests(), sarah()?.password]).toEqual([writes, asked, set]);
  expect(await trickled()).toEqual([{ at: expect.any(Date) as unknown }]);
  expect(await events()).toHaveLength(1);
});

test("sets it once where two logins come at the same time", async () => {
  await backend.migrate(SARAH, "reset");
  await Promise.all([backend.logIn(SARAH), backend.logIn(SARAH), backend.logIn(SARAH)]);
  expect(patches()).toBe(1);
});

test("is ours to the migration: a rollback does not take it for a password the user has set", async () => {
  await backend.migrate(SARAH, "reset");
  await backend.logIn(SARAH);
  expect(await ledger()).toMatchObject({ passwords: "carry", clerkPasswordAt: sarah()?.password?.updatedAt });
  expect(await events()).toEqual([
    { user_id: userId, stack: backend.on.migration.stack, status: "password-set" },
  ]);
  await deleteUser(backend.on.systems, await outputs());
  expect(sarah()).toBeUndefined();
  expect(await backend.on.link(userId)).toBeNull();
});

test("comes again for a user who is migrated anew after a rollback", async () => {
  await backend.migrate(SARAH, "reset");
  await backend.logIn(SARAH);
  await deleteUser(backend.on.systems, await outputs());
  await backend.migrate(SARAH, "reset");
  await backend.logIn(SARAH);
  expect(await enterClerk()).toMatchObject({ status: "complete" });
});

test("works without the migration's ledger", async () => {
  await backend.migrate(SARAH, "reset");
  await backend.on.query("drop schema clerk_migration cascade");
  await backend.logIn(SARAH);
  expect(await enterClerk()).toMatchObject({ status: "complete" });
  expect(await trickled()).toEqual([{ at: expect.any(Date) as unknown }]);
});

describe("nothing is set in Clerk", () => {
  const unchanged = async (work: () => Promise<unknown>) => {
    const before = patches();
    await work();
    expect(patches()).toBe(before);
  };

  test("by a wrong password", async () => {
    await backend.migrate(SARAH, "reset");
    await unchanged(() => backend.logIn(SARAH, "not the password"));
    expect(sarah()?.password).toBeNull();
  });

  test("where it is not asked for", async () => {
    await backend.restart({ TRICKLE: "off" });
    await backend.migrate(SARAH, "reset");
    await unchanged(() => backend.logIn(SARAH));
  });

  test("where the digest was carried over, and Clerk is not even asked", async () => {
    await backend.migrate(SARAH, "carry");
    const before = requests();
    await backend.logIn(SARAH);
    expect(requests()).toBe(before);
  });

  test("for a user who is not migrated", async () => {
    await unchanged(() => backend.logIn(SARAH));
  });

  test("for a user who has arrived, whatever LEGACY_LOGIN says", async () => {
    await backend.restart({ TRICKLE: "on", LEGACY_LOGIN: "on" });
    const user = await backend.migrate(SARAH, "reset");
    await backend.on.query("insert into clerk_arrivals (user_id, clerk_user_id) values ($1, $2)", [
      userId,
      user.id,
    ]);
    await unchanged(() => backend.logIn(SARAH));
  });

  test("for a user who has signed in to Clerk unheard, which is an arrival", async () => {
    const user = await backend.migrate(SARAH, "reset");
    backend.on.clerk.store.changeUser(user.id, { lastSignInAt: Date.now() });
    await unchanged(async () => {
      expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
    });
    expect(await backend.on.query("select user_id from clerk_arrivals")).toEqual([{ user_id: userId }]);
  });

  test("for a user who has set a password in Clerk", async () => {
    const user = await backend.migrate(SARAH, "reset");
    await backend.systems.clerk.users.updateUser(user.id, { password: "a password of her own" });
    await unchanged(() => backend.logIn(SARAH));
    expect(await trickled()).toEqual([]);
  });

  test("for an account that was there before the migration", async () => {
    await backend.migrate(SARAH, "reset");
    await backend.on.query("update clerk_migration.users set origin = 'adopted'");
    await unchanged(() => backend.logIn(SARAH));
  });
});

describe("a failure", () => {
  test.each([
    { type: "answer", status: 503 },
    { type: "answer", status: 429, retryAfter: 60 },
    { type: "cut-before" },
    { type: "cut-after" },
    { type: "truncated-json" },
  ] as const)("of kind $type does not fail the login, and a later login makes up for it", async (effect) => {
    await backend.migrate(SARAH, "reset");
    backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
    expect(await trickled()).toEqual([{ at: null }]);
    expect(backend.log.join("")).toContain("could not be set in Clerk");

    await later();
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
    expect(await enterClerk()).toMatchObject({ status: "complete" });
    expect(await trickled()).toEqual([{ at: expect.any(Date) as unknown }]);
    // Whichever of the two requests it was that Clerk carried out.
    expect(await ledger()).toMatchObject({
      passwords: "carry",
      clerkPasswordAt: sarah()?.password?.updatedAt,
    });
  });

  test("to look the user up does not fail the login", async () => {
    await backend.migrate(SARAH, "reset");
    backend.on.clerk.faults.add({ on: "GET /users/{user_id}", effect: { type: "cut-before" } });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
    await backend.logIn(SARAH);
    expect(await enterClerk()).toMatchObject({ status: "complete" });
  });

  test("to answer at all keeps the login waiting for a few seconds only", async () => {
    await backend.migrate(SARAH, "reset");
    backend.on.clerk.faults.add({ on: "GET /users/{user_id}", effect: { type: "hang" } });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  });

  test("does not make a password ours that the user has set since", async () => {
    const user = await backend.migrate(SARAH, "reset");
    backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect: { type: "cut-before" } });
    await backend.logIn(SARAH);
    await backend.systems.clerk.users.updateUser(user.id, { password: "a password of her own" });
    await later();
    await backend.logIn(SARAH);
    expect(await trickled()).toEqual([]);
    expect(await ledger()).toMatchObject({ passwords: "reset" });
  });
});

test.each([
  ["set", { passwordEnabled: false }, "never"],
  ["set", { passwordEnabled: false }, "unconfirmed"],
  ["nothing", { passwordEnabled: true }, "never"],
  ["check", { passwordEnabled: true }, "unconfirmed"],
  ["nothing", { externalId: "7" }, "never"],
  ["nothing", { externalId: null }, "unconfirmed"],
  ["nothing", { privateMetadata: {} }, "never"],
  ["nothing", { privateMetadata: { clerk_migration: { adopted: true } } }, "unconfirmed"],
  ["record-arrival", { lastSignInAt: 1 }, "never"],
  ["record-arrival", { lastSignInAt: 1, passwordEnabled: true }, "unconfirmed"],
] as const)("decides on %s for %o where it was %s tried", (step, live, before) => {
  const privateMetadata = { clerk_migration: { project: "p", stack: "s" } };
  const untouched = { externalId: userId, lastSignInAt: null, passwordEnabled: false, privateMetadata };
  expect(nextStep(userId, { ...untouched, ...live }, before)).toBe(step);
});
