import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type Bar, barOf } from "../../../examples/backend/bars";
import type { UserFacts } from "../../../examples/backend/clerk-user";
import type { Held } from "../../../examples/backend/migration";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import type { User } from "../../../sandbox/clerk/records";
import { userEvent } from "../../../sandbox/clerk/webhooks";
import { MARCUS, SARAH } from "../../systems";
import { openBackend, type TestBackend } from "./backend";

const { userId } = SARAH;

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend();
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

const setPassword = (password: string) => backend.systems.clerk.users.updateUser(live().id, { password });
const bars = () => backend.on.query("select user_id, reason from barred_users");
const live = (): User => backend.on.live(userId) ?? fail();
/** Clerk tells of the user as she is now. */
const tell = (user = live()) => backend.send(userEvent("user.updated", user));
function fail(): never {
  throw new Error("The user is not in Clerk.");
}

async function isShut(cookie: string): Promise<boolean> {
  const [login, session] = [await backend.logIn(SARAH), await backend.get("/me", { cookie })];
  expect([login.status === 401, login.status === 200]).toContain(true);
  expect(session.status).toBe(login.status);
  return login.status === 401;
}

/** What somebody does in Clerk before the user has ever been there. */
const deeds: Readonly<Record<string, () => Promise<unknown>>> = {
  banned: () => backend.systems.clerk.users.banUser(live().id),
  "given a reset": () =>
    Promise.resolve(backend.on.clerk.store.changeUser(live().id, { requiresPasswordReset: true })),
  "given another password": () => setPassword("a password of an admin"),
};

describe.each(Object.entries(deeds))("whoever is %s in Clerk before the first sign-in", (_what, deed) => {
  test("finds the legacy door shut as soon as Clerk has told, alone, and the sessions ended", async () => {
    await backend.migrate(SARAH);
    await backend.migrate(MARCUS);
    const [sarah, marcus] = [await backend.logIn(SARAH), await backend.logIn(MARCUS)];
    await deed();
    await tell();
    expect(await isShut(sarah.cookie)).toBe(true);
    expect(await backend.get("/me", { cookie: marcus.cookie })).toMatchObject({ status: 200 });
    expect(await backend.on.query("select user_id from app_sessions")).toEqual([{ user_id: MARCUS.userId }]);
    expect(await bars()).toMatchObject([{ user_id: userId }]);
  });

  test("gets the very answer that a wrong password gets", async () => {
    await backend.migrate(SARAH);
    await deed();
    await tell();
    const { status, body } = await backend.logIn(SARAH);
    expect({ status, body }).toEqual({ status: 401, body: { error: "Address or password is wrong." } });
  });

  test("is let in again after a rollback", async () => {
    await backend.migrate(SARAH);
    await deed();
    await tell();
    const systems = await backend.on.restart({ rollbackSignedIn: "delete" });
    await deleteUser(systems, await ensureUser(systems, await backend.on.declared(userId)));
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  });

  test("keeps the door where LEGACY_LOGIN is on, for it shuts it for nobody", async () => {
    await backend.restart({ LEGACY_LOGIN: "on" });
    await backend.migrate(SARAH);
    await deed();
    await tell();
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  });
});

test("a ban that is over opens the door again, and an event that says so too early does not", async () => {
  await backend.migrate(SARAH);
  const before = live();
  await backend.systems.clerk.users.banUser(before.id);
  await tell();
  // Events come in any order: what Clerk says now is what counts.
  expect(await tell(before)).toMatchObject({ status: 204 });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  const banned = live();
  await backend.systems.clerk.users.unbanUser(before.id);
  expect(await tell(banned)).toMatchObject({ status: 204 });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  expect(await bars()).toEqual([]);
});

test("a user who is deleted in Clerk finds the door shut, as long as the link is there", async () => {
  const user = await backend.migrate(SARAH);
  backend.on.clerk.store.removeUser(user.id);
  await backend.send({ type: "user.deleted", data: { id: user.id, deleted: true, object: "user" } });
  expect(await bars()).toEqual([{ user_id: userId, reason: "deleted" }]);
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  await backend.on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
});

test("what the migration changes shuts no door, and asks Clerk nothing", async () => {
  await backend.migrate(SARAH);
  await backend.migrate(MARCUS, "reset");
  const before = backend.on.clerk.store.requests.length;
  await tell();
  await tell(backend.on.live(MARCUS.userId));
  expect(backend.on.clerk.store.requests).toHaveLength(before);
  expect(await bars()).toEqual([]);
});

test("a password that the migration has set, and not yet written down, shuts the door for that moment only", async () => {
  await backend.migrate(SARAH);
  const held = await backend.on.query<{ at: string }>(
    "select clerk_password_at as at from clerk_migration.users where user_id = $1",
    [userId],
  );
  const ledger = (at: number) =>
    backend.on.query("update clerk_migration.users set clerk_password_at = $2 where user_id = $1", [
      userId,
      at,
    ]);
  const now = Number(held[0]?.at);
  backend.on.clerk.store.changeUser(live().id, { updatedAt: Date.now() });
  await ledger(now - 1);
  // Clerk is asked to tell again.
  expect(await tell()).toMatchObject({ status: 409 });
  await ledger(now);
  expect(await tell()).toMatchObject({ status: 204 });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
});

test("a password that this backend has set is nobody else's doing", async () => {
  await backend.restart({ TRICKLE: "on" });
  await backend.migrate(SARAH, "reset");
  await backend.logIn(SARAH);
  await tell();
  expect(await bars()).toEqual([]);
});

test("a password of this backend whose answer was lost is left to the next login to judge", async () => {
  await backend.restart({ TRICKLE: "on" });
  await backend.migrate(SARAH, "reset");
  backend.on.clerk.faults.add({ on: "PATCH /users/{user_id}", effect: { type: "cut-after" } });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  await tell();
  expect(await bars()).toEqual([]);
  await setPassword("a password of an admin");
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  expect(await bars()).toEqual([{ user_id: userId, reason: "password" }]);
});

test("a login that would set the password finds a ban in Clerk that nobody has told of", async () => {
  await backend.restart({ TRICKLE: "on" });
  const user = await backend.migrate(SARAH, "reset");
  backend.on.clerk.store.changeUser(user.id, { banned: true });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  expect(live().password).toBeNull();
});

describe("a bar is", () => {
  const carried = { origin: "created", passwords: "carry", clerk_password_at: 10 };
  const untouched = {
    id: "user_1",
    password_enabled: true,
    password_last_updated_at: 10,
    email_addresses: [{ reserved: false }],
  };
  const unproven = [{ reserved: true }];
  const reset = { ...carried, passwords: "reset" };
  const adopted = { ...reset, origin: "adopted" };
  test.each<[Bar | undefined, Partial<UserFacts>, Held | undefined]>([
    [undefined, {}, carried],
    ["password", { password_last_updated_at: 11 }, carried],
    [undefined, { password_last_updated_at: 11 }, undefined],
    ["banned", { banned: true, password_last_updated_at: 11 }, undefined],
    ["password", { requires_password_reset: true }, undefined],
    // A carried password of an address that nobody has proven.
    [undefined, { requires_password_reset: true, email_addresses: unproven }, carried],
    ["password", {}, reset],
    [undefined, { password_enabled: false }, reset],
    [undefined, {}, adopted],
    ["password", { password_last_updated_at: 11 }, adopted],
    [undefined, {}, { ...carried, clerk_password_at: null }],
  ])("%s for %o where the ledger says %o", (bar, changes, held) => {
    expect(barOf({ ...untouched, ...changes }, held)).toBe(bar);
  });
});
