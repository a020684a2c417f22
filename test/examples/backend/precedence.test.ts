import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { pageAfter, pollArrivals } from "../../../examples/backend/arrival-poll";
import { openSession } from "../../../examples/backend/sessions";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { sessionCreated, userEvent } from "../../../sandbox/clerk/webhooks";
import { MARCUS, SARAH } from "../../systems";
import { openBackend, type TestBackend } from "./backend";

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend();
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

const arrivals = () =>
  backend.on.query<{ user_id: string; arrived_at: Date }>("select user_id, arrived_at from clerk_arrivals");

/** Signs in with Clerk, and lets the backend hear of it in one of the ways there are. */
const ways: Readonly<Record<string, () => Promise<void>>> = {
  "by its session token": async () => {
    const token = await backend.signInToClerk(SARAH);
    expect(await backend.get("/me", { token })).toMatchObject({ status: 200 });
  },
  "by the webhook of the new session": async () => {
    await backend.signInToClerk(SARAH);
    const session = backend.session(backend.on.live(SARAH.userId) ?? fail());
    expect(await backend.send(sessionCreated(backend.on.clerk, session))).toMatchObject({ status: 204 });
  },
  "by the webhook of the changed user": async () => {
    await backend.signInToClerk(SARAH);
    const user = backend.on.live(SARAH.userId) ?? fail();
    expect(await backend.send(userEvent("user.updated", user))).toMatchObject({ status: 204 });
  },
  "by asking Clerk now and then": async () => {
    await backend.signInToClerk(SARAH);
    expect(await pollArrivals(backend.systems)).toEqual([SARAH.userId]);
  },
};

function fail(): never {
  throw new Error("The user is not in Clerk.");
}

describe.each(Object.entries(ways))("an arrival that is heard of %s", (_way, arrive) => {
  test("shuts the legacy door for that user alone, and ends the legacy sessions", async () => {
    await backend.migrate(SARAH);
    await backend.migrate(MARCUS);
    const [sarah, marcus] = [await backend.logIn(SARAH), await backend.logIn(MARCUS)];

    await arrive();

    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
    expect(await backend.get("/me", { cookie: sarah.cookie })).toMatchObject({ status: 401 });
    expect(await arrivals()).toMatchObject([{ user_id: SARAH.userId }]);
    const left = await backend.on.query("select user_id from app_sessions");
    expect(left).toEqual([{ user_id: MARCUS.userId }]);
    expect(await backend.get("/me", { cookie: marcus.cookie })).toMatchObject({ status: 200 });
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 200 });
  });
});

test("keeps the first time of an arrival, however often it is heard of", async () => {
  await backend.migrate(SARAH);
  const token = await backend.signInToClerk(SARAH);
  await backend.get("/me", { token });
  const first = await arrivals();
  await backend.get("/me", { token });
  await pollArrivals(backend.systems);
  expect(await arrivals()).toEqual(first);
});

test("leaves the door open for users who are migrated and have not signed in yet", async () => {
  const user = await backend.migrate(SARAH);
  await backend.send(userEvent("user.created", user));
  await backend.send(userEvent("user.updated", user));
  await pollArrivals(backend.systems);
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
});

test("honours no session that was being opened while its user arrived", async () => {
  await backend.migrate(SARAH);
  const { cookie } = await backend.logIn(SARAH);
  await backend.on.query("create table kept as select * from app_sessions");
  await backend.get("/me", { token: await backend.signInToClerk(SARAH) });
  // As if the login had committed a moment after the arrival had ended the sessions.
  await backend.on.query("insert into app_sessions select * from kept");
  expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  expect(await openSession(backend.systems, SARAH.userId, SARAH.passwordDigest)).toBeUndefined();
});

test("opens again for a user whom the migration has rolled back, and shuts again after the next arrival", async () => {
  await backend.migrate(SARAH);
  await backend.get("/me", { token: await backend.signInToClerk(SARAH) });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });

  const systems = await backend.on.restart({ rollbackSignedIn: "delete" });
  const outputs = await ensureUser(systems, await backend.on.declared(SARAH.userId));
  await deleteUser(systems, outputs);
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });

  await backend.migrate(SARAH);
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  await backend.get("/me", { token: await backend.signInToClerk(SARAH) });
  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
});

test("does not take a supporter who acts as the user for the user", async () => {
  const user = await backend.migrate(SARAH);
  await backend.signInToClerk(SARAH);
  const { type, data } = sessionCreated(backend.on.clerk, backend.session(user));
  await backend.send({ type, data: { ...data, actor: { sub: "user_support" } } });
  expect(await arrivals()).toEqual([]);
});

describe("the poll", () => {
  test("finds everybody, page by page, and goes on where it stopped", async () => {
    const { store } = backend.on.clerk;
    const { rows } = await backend.systems.database.query<{ id: string }>(
      `insert into users (email, clerk_user_id)
       select 'many-' || n || '@example.com', 'user_many' || n from generate_series(1, 1203) as n
       returning clerk_user_id as id`,
    );
    const user = await backend.migrate(SARAH);
    // Three in each millisecond, so that pages end between people of the same one.
    rows.forEach(({ id }, n) => {
      const lastSignInAt = 1_700_000_000_000 + Math.floor(n / 3);
      store.putUser({ ...user, id, externalId: null, emailAddresses: [], lastSignInAt });
    });
    expect(await pollArrivals(backend.systems)).toHaveLength(1203);
    expect(await pollArrivals(backend.systems)).toEqual([]);
    await backend.signInToClerk(SARAH);
    expect(await pollArrivals(backend.systems)).toEqual([SARAH.userId]);
  });

  test("passes over people who have no row", async () => {
    await backend.systems.clerk.users.createUser({
      emailAddress: [SARAH.email],
      password: SARAH.password,
    });
    await backend.signInToClerk(SARAH);
    expect(await pollArrivals(backend.systems)).toEqual([]);
  });

  test("runs at the start and on its interval, and survives an outage of Clerk", async () => {
    await backend.migrate(SARAH);
    await backend.signInToClerk(SARAH);
    backend.on.clerk.faults.add({ on: "GET /users", effect: { type: "answer", status: 503 } });
    await backend.restart({ POLL_SECONDS: "1" });
    await expect.poll(arrivals, { timeout: 10_000 }).toHaveLength(1);
    expect(backend.log.join("")).toContain("the poll failed and will be repeated");
  });

  test.each([
    [0, 10, 9],
    [9, 10, 10],
    [10, 10, 10],
  ])("goes on after %i from a full page that ends at %i with %i", (after, last, next) => {
    expect(pageAfter(after, last)).toBe(next);
  });
});

test("a password that was changed in Clerk is not undercut by the old one, also where no webhook ever came", async () => {
  const user = await backend.migrate(SARAH);
  const { cookie } = await backend.logIn(SARAH);
  await backend.signInToClerk(SARAH);
  const changed = "a password of my own";
  await backend.systems.clerk.users.updateUser(user.id, { password: changed });
  expect(await pollArrivals(backend.systems)).toEqual([SARAH.userId]);

  expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  expect(await backend.logIn(SARAH, changed)).toMatchObject({ status: 401 });
  expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  const token = await backend.signInToClerk({ ...SARAH, password: changed });
  expect(await backend.get("/me", { token })).toMatchObject({ status: 200 });
});

describe("LEGACY_LOGIN", () => {
  test("on does not shut the door, and until-arrived shuts it for all who have arrived meanwhile", async () => {
    await backend.restart({ LEGACY_LOGIN: "on" });
    await backend.migrate(SARAH);
    const { cookie } = await backend.logIn(SARAH);
    await backend.get("/me", { token: await backend.signInToClerk(SARAH) });
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 200 });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });

    await backend.restart({ LEGACY_LOGIN: "until-arrived" });
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  });

  test("off shuts it for everybody and ends the old sessions for good", async () => {
    const { cookie } = await backend.logIn(MARCUS);
    await backend.restart({ LEGACY_LOGIN: "off" });
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 401 });
    await backend.restart({ LEGACY_LOGIN: "on" });
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 200 });
  });
});
