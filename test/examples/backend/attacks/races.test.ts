import { afterAll, beforeAll, expect, test } from "vitest";

import { hashOf } from "../../../../examples/backend/tokens";
import { signIn } from "../../../../sandbox/clerk/sign-in";
import { userEvent } from "../../../../sandbox/clerk/webhooks";
import type { SampleUser } from "../../../../sandbox/sample-users";
import { openBackend, type TestBackend } from "../backend";
import { people } from "./people";

const next = people();
const NEW = "a password of the new kind";
const PATCH = "PATCH /users/{user_id}";

let backend: TestBackend;
beforeAll(async () => {
  backend = await openBackend({ TRICKLE: "on" }, { as: "main" });
});
afterAll(async () => {
  expect(await backend.close()).toEqual([]);
});

const patches = () => backend.on.written().filter((kind) => kind === PATCH).length;
const slowly = (ms = 800) => {
  backend.on.clerk.faults.add({ on: PATCH, effect: { type: "delay", ms } });
};
/** Until a request of this kind has reached Clerk, which then takes its time. */
const underWay = () =>
  expect.poll(() => backend.on.clerk.faults.list().some(({ struck }) => struck > 0)).toBe(true);
const calm = () => {
  backend.on.clerk.faults.clear();
};

async function link(user: SampleUser, token: string): Promise<string> {
  await backend.on.query("insert into password_resets values ($1, $2, now() + interval '1 hour')", [
    hashOf(token),
    user.userId,
  ]);
  return token;
}

const reset = (token: string, password: string) => backend.post("/password-reset", { token, password });
const entersClerk = async ({ email }: SampleUser, password: string) =>
  (await signIn(backend.on.clerk.issuer, { identifier: email, password })).status;
/** Which of these passwords each door takes. */
async function taken(user: SampleUser, passwords: readonly string[]) {
  const [legacy, clerk]: [string[], string[]] = [[], []];
  for (const password of passwords) {
    if ((await backend.logIn(user, password)).status === 200) legacy.push(password);
  }
  for (const password of passwords) {
    if ((await entersClerk(user, password)) === "complete") clerk.push(password);
  }
  return { legacy, clerk };
}

test("two logins at once set the password in Clerk once, and both are in", async () => {
  const user = next();
  await backend.migrate(user, "reset");
  const before = patches();
  slowly();
  const answers = await Promise.all([backend.logIn(user), backend.logIn(user), backend.logIn(user)]);
  calm();
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(new Set(answers.map(({ cookie }) => cookie)).size).toBe(3);
  expect(patches() - before).toBe(1);
  expect(await entersClerk(user, user.password)).toBe("complete");
});

test("a login that sets the old password in Clerk does not come behind a reset", async () => {
  const user = next();
  await backend.migrate(user, "reset");
  const token = await link(user, "behind");
  slowly();
  const login = backend.logIn(user);
  await underWay();
  const changed = await reset(token, NEW);
  await login;
  calm();
  expect(changed).toMatchObject({ status: 204 });
  expect(await taken(user, [user.password, NEW])).toEqual({ legacy: [NEW], clerk: [NEW] });
});

test("a login with the old password, under way while it is reset, opens no session that outlives it", async () => {
  const user = next();
  await backend.migrate(user);
  const token = await link(user, "outlive");
  slowly();
  const changing = reset(token, NEW);
  await underWay();
  const logins = [await backend.logIn(user), await backend.logIn(user)];
  expect(await changing).toMatchObject({ status: 204 });
  calm();
  for (const { cookie } of logins) {
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  }
});

test("one link that is used twice at once sets one password, the same on both sides", async () => {
  const user = next();
  await backend.migrate(user);
  const token = await link(user, "twice");
  const passwords = ["the first of two passwords", "the second of two passwords"];
  slowly(300);
  const answers = await Promise.all(passwords.map((password) => reset(token, password)));
  calm();
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 400]);
  const { legacy, clerk } = await taken(user, [user.password, ...passwords]);
  expect(legacy).toHaveLength(1);
  expect(clerk).toEqual(legacy);
});

test("two changes by the old password at once set one, the same on both sides", async () => {
  const user = next();
  await backend.migrate(user);
  const cookies = [(await backend.logIn(user)).cookie, (await backend.logIn(user)).cookie];
  const passwords = ["the first of two passwords", "the second of two passwords"];
  const answers = await Promise.all(
    passwords.map((password, n) =>
      backend.post("/password", { current: user.password, password }, { cookie: cookies[n] ?? "" }),
    ),
  );
  expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
  const { legacy, clerk } = await taken(user, [user.password, ...passwords]);
  expect(legacy).toHaveLength(1);
  expect(clerk).toEqual(legacy);
});

test("an event of a password that is being set waits until it is written down", async () => {
  const user = next();
  await backend.migrate(user);
  const token = await link(user, "event");
  const changing = reset(token, NEW);
  const live = () => backend.on.live(user.userId);
  const before = live()?.password?.updatedAt ?? 0;
  await expect.poll(() => live()?.password?.updatedAt ?? 0).toBeGreaterThan(before);
  const now = live();
  if (now === undefined) throw new Error("The user is not in Clerk.");
  expect(await backend.send(userEvent("user.updated", now))).toMatchObject({ status: 204 });
  expect(await changing).toMatchObject({ status: 204 });
  expect(await backend.logIn(user, NEW)).toMatchObject({ status: 200 });
});

test("logins and an arrival at once leave no session behind", async () => {
  const user = next();
  await backend.migrate(user);
  const token = await backend.signInToClerk(user);
  const work = [...Array(6).keys()].map((n) =>
    n === 3 ? backend.get("/me", { token }) : backend.logIn(user),
  );
  for (const { cookie } of await Promise.all(work)) {
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  }
  expect(await backend.logIn(user)).toMatchObject({ status: 401 });
});
