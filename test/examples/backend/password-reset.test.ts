import { afterEach, beforeEach, expect, test } from "vitest";

import { hashOf } from "../../../examples/backend/tokens";
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

test("is carried over by the next up, until the user has signed in", async () => {
  await backend.migrate(SARAH);
  await reset(await link("open-link"));
  await backend.migrate(SARAH);
  await expect(backend.signInToClerk({ ...SARAH, password: NEW })).resolves.toMatch(/\./);
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
