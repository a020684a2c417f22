import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { hashOf } from "../../../examples/backend/tokens";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { readUser } from "../../../providers/postgres/ledger-users";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { sampleUsers } from "../../../sandbox/sample-users";
import { SARAH } from "../../systems";
import { openBackend, type TestBackend } from "./backend";

const { userId } = SARAH;
const NEW = "a password of the new kind";

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend();
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

/** A link that the legacy system has mailed. */
async function link(token: string, lifetime = "1 hour"): Promise<string> {
  await backend.on.query("insert into password_resets values ($1, $2, now() + $3::interval)", [
    hashOf(token),
    userId,
    lifetime,
  ]);
  return token;
}

const reset = (token: string, password = NEW) => backend.post("/password-reset", { token, password });
const digest = () => backend.on.query("select password_hash from users where user_id = $1", [userId]);

test("honours an open link once, and ends the sessions of the old password", async () => {
  const token = await link("open-link");
  const { cookie } = await backend.logIn(SARAH);
  expect(await reset(token)).toMatchObject({ status: 204 });
  expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  expect(await backend.logIn(SARAH, NEW)).toMatchObject({ status: 200 });
  expect(await reset(token, "yet another password")).toMatchObject({ status: 400 });
  expect(await backend.logIn(SARAH, NEW)).toMatchObject({ status: 200 });
});

const bars = () => backend.on.query("select user_id, reason from barred_users");
const entersClerk = (password: string) =>
  signIn(backend.on.clerk.issuer, { identifier: SARAH.email, password });

let session: string | undefined;
beforeEach(() => {
  session = undefined;
});

/** The two ways to a new password; the second in one session, also where it is tried again. */
const ways: Readonly<Record<string, (password: string) => Promise<number>>> = {
  "an open link": async (password) => (await reset(await link("open-link"), password)).status,
  "the old password": async (password) => {
    session ??= (await backend.logIn(SARAH)).cookie;
    const body = { current: SARAH.password, password };
    return (await backend.post("/password", body, { cookie: session })).status;
  },
};

describe.each(Object.entries(ways))("a new password by %s", (_way, change) => {
  test("is Clerk's in the same request, is no sign of the user having been there, and stays ours", async () => {
    await backend.migrate(SARAH);
    expect(await change(NEW)).toBe(204);
    expect(await entersClerk(SARAH.password)).toMatchObject({ status: "refused" });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
    expect(await backend.logIn(SARAH, NEW)).toMatchObject({ status: 200 });
    // The migration takes the user back: the password is not one that was chosen in Clerk.
    const held = await readUser(backend.on.systems.database, backend.on.migration, userId);
    expect(held?.clerkPasswordAt).toBe(backend.on.live(userId)?.password?.updatedAt);
    await deleteUser(backend.on.systems, await backend.on.recorded(userId));
    expect(backend.on.live(userId)).toBeUndefined();
  });

  test("lets the user in at Clerk, also after the next up", async () => {
    await backend.migrate(SARAH);
    await change(NEW);
    await backend.migrate(SARAH);
    expect(await entersClerk(NEW)).toMatchObject({ status: "complete" });
  });

  test("is set in Clerk where it had none", async () => {
    await backend.migrate(SARAH, "reset");
    expect(await change(NEW)).toBe(204);
    expect(await entersClerk(NEW)).toMatchObject({ status: "complete" });
  });

  test("ends every session of the old one, there too", async () => {
    const user = await backend.migrate(SARAH);
    const { cookie } = await backend.logIn(SARAH);
    await backend.signInToClerk(SARAH);
    // The backend has not heard of it, and Clerk has not yet said so either.
    backend.on.clerk.store.changeUser(user.id, { lastSignInAt: null });
    expect(await change(NEW)).toBe(204);
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
    expect(backend.session(user).status).toBe("revoked");
  });

  test.each([
    { type: "answer", status: 503 },
    { type: "answer", status: 429, retryAfter: 1 },
    { type: "cut-before" },
    { type: "cut-after" },
    { type: "hang" },
  ] as const)(
    "is refused where Clerk fails ($type), and the next try sets it on both sides",
    async (effect) => {
      await backend.migrate(SARAH);
      backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect });
      const before = await digest();
      expect(await change(NEW)).toBe(503);
      expect(await digest()).toEqual(before);
      backend.on.clerk.faults.clear();
      await expect.poll(() => tryAgain(change), { timeout: 10_000 }).toBe(204);
      expect(await backend.logIn(SARAH, NEW)).toMatchObject({ status: 200 });
      expect(await entersClerk(NEW)).toMatchObject({ status: "complete" });
    },
  );

  test("whose answer was lost ends the old one: whoever comes with that is sent to Clerk", async () => {
    await backend.migrate(SARAH);
    backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect: { type: "cut-after" } });
    expect(await change(NEW)).toBe(503);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
    expect(await bars()).toEqual([{ user_id: userId, reason: "password" }]);
    expect(await entersClerk(NEW)).toMatchObject({ status: "complete" });
  });

  test("that was lost on its way leaves the old one as it was", async () => {
    await backend.migrate(SARAH);
    backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect: { type: "cut-before" } });
    expect(await change(NEW)).toBe(503);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
    expect(await bars()).toEqual([]);
    expect(await entersClerk(SARAH.password)).toMatchObject({ status: "complete" });
  });

  test("that Clerk thinks too weak is refused, and changes neither side", async () => {
    await backend.migrate(SARAH);
    const body = { errors: [{ code: "form_password_pwned", message: "", long_message: "", meta: {} }] };
    const effect = { type: "answer", status: 422, body } as const;
    backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect });
    expect(await change(NEW)).toBe(400);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  });

  test("is refused where the user has signed in to Clerk unheard, which is an arrival", async () => {
    const user = await backend.migrate(SARAH);
    backend.on.clerk.store.changeUser(user.id, { lastSignInAt: Date.now() });
    expect(await change(NEW)).toBeOneOf([400, 409]);
    expect(await backend.on.query("select user_id from clerk_arrivals")).toEqual([{ user_id: userId }]);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
    expect(await entersClerk(NEW)).toMatchObject({ status: "refused" });
  });

  test.each([
    ["banned", { banned: true }, "banned"],
    ["told to reset the password", { requiresPasswordReset: true }, "password"],
  ])("is refused where Clerk has %s unheard, and the door is shut", async (_what, changed, reason) => {
    const user = await backend.migrate(SARAH);
    backend.on.clerk.store.changeUser(user.id, changed);
    expect(await change(NEW)).toBeOneOf([400, 409]);
    expect(await bars()).toEqual([{ user_id: userId, reason }]);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  });

  test("is refused where another one was set in Clerk, or the user deleted there", async () => {
    const user = await backend.migrate(SARAH);
    await backend.systems.clerk.users.updateUser(user.id, { password: "a password of an admin" });
    expect(await change(NEW)).toBeOneOf([400, 409]);
    expect(await bars()).toEqual([{ user_id: userId, reason: "password" }]);
    expect(await entersClerk("a password of an admin")).toMatchObject({ status: "complete" });
  });

  test("is refused for an account that was in Clerk before the migration", async () => {
    const user = await backend.migrate(SARAH);
    const mark = { project: "p", stack: "s", adopted: true };
    backend.on.clerk.store.changeUser(user.id, { privateMetadata: { clerk_migration: mark } });
    const before = backend.on.live(userId)?.password;
    expect(await change(NEW)).toBeOneOf([400, 409]);
    expect(backend.on.live(userId)?.password).toEqual(before);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  });
});

/** With the link that is open still. */
async function tryAgain(change: (password: string) => Promise<number>): Promise<number> {
  await backend.on.query("delete from password_resets");
  return change(NEW);
}

test("is refused for a user who was linked before the migration", async () => {
  const linked =
    sampleUsers.find((user) => user.clerkUserId !== null && user.passwordDigest !== null) ?? SARAH;
  const { cookie } = await backend.logIn(linked);
  const { status } = await backend.post("/password", { current: linked.password, password: NEW }, { cookie });
  expect(status).toBe(409);
});

test("needs the old one, and a session", async () => {
  const { cookie } = await backend.logIn(SARAH);
  const change = (current: string, credentials: object) =>
    backend.post("/password", { current, password: NEW }, credentials);
  expect(await change(SARAH.password, {})).toMatchObject({ status: 401 });
  expect(await change("not the password", { cookie })).toMatchObject({ status: 403 });
  const { status, cookie: renewed } = await change(SARAH.password, { cookie });
  expect(status).toBe(204);
  expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  expect(await backend.get("/me", { cookie: renewed })).toMatchObject({ status: 200 });
});

test("counts tries of the old one, so that a stolen session finds nothing out", async () => {
  await backend.restart({ LOGIN_TRIES_PER_ADDRESS: "2" });
  const { cookie } = await backend.logIn(SARAH);
  const change = async (current: string) =>
    (await backend.post("/password", { current, password: NEW }, { cookie })).status;
  expect([await change("a"), await change("b"), await change(SARAH.password)]).toEqual([403, 403, 429]);
});

test("refuses links of a user who has arrived, in the words for a link that never was", async () => {
  await backend.migrate(SARAH);
  const token = await link("open-link");
  await backend.get("/me", { token: await backend.signInToClerk(SARAH) });
  const before = await digest();
  const refused = await reset(token);
  expect(refused.status).toBe(400);
  expect(refused.body).toEqual((await reset("never-was")).body);
  expect(await digest()).toEqual(before);
});

test("refuses a link whose time is up, and every link once the legacy login is off", async () => {
  expect(await reset(await link("late", "-1 second"))).toMatchObject({ status: 400 });
  const token = await link("open-link");
  await backend.restart({ LEGACY_LOGIN: "off" });
  expect(await reset(token)).toMatchObject({ status: 400 });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
});

test.each([
  ["too short", "short"],
  ["longer than bcrypt reads", "ü".repeat(37)],
])("refuses a password that is %s, and leaves the link open", async (_what, password) => {
  const token = await link("open-link");
  expect(await reset(token, password)).toMatchObject({ status: 400 });
  expect(await reset(token)).toMatchObject({ status: 204 });
});
