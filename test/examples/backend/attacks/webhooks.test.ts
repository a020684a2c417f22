import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { User } from "../../../../sandbox/clerk/records";
import {
  type Delivery,
  newSigningSecret,
  sessionCreated,
  signed,
  userEvent,
} from "../../../../sandbox/clerk/webhooks";
import { describeDifference, snapshotDatabase } from "../../../../sandbox/snapshot";
import { openBackend, ORIGIN, type TestBackend } from "../backend";
import { people } from "./people";

const next = people();

let backend: TestBackend;
beforeAll(async () => {
  backend = await openBackend({}, { as: "main" });
});
afterAll(async () => {
  expect(await backend.close()).toEqual([]);
});

async function changes(work: () => Promise<unknown>): Promise<string[]> {
  const before = await snapshotDatabase(backend.on.database.url);
  await work();
  return describeDifference(before, await snapshotDatabase(backend.on.database.url));
}

/** The arrival of somebody who has signed in, as Clerk would tell it. */
async function arrival() {
  const user = next();
  const live = await backend.migrate(user);
  await backend.signInToClerk(user);
  return { user, live, event: sessionCreated(backend.on.clerk, backend.session(live)) };
}

/** Signs up with Clerk under this name. */
async function signUp(emailAddress: string, firstName: string): Promise<User> {
  const { clerk } = backend.on;
  const response = await fetch(`${clerk.issuer}/v1/client/sign_ups`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: ORIGIN },
    body: JSON.stringify({
      email_address: emailAddress,
      password: "a good new password",
      first_name: firstName,
    }),
  });
  const user = clerk.store.userByEmailAddress(emailAddress);
  if (!response.ok || user === undefined) throw new Error("Clerk did not take the sign-up.");
  return user;
}

describe("an event", () => {
  test("that is forged, tampered with, too old, from the future or of another instance changes nothing", async () => {
    const { user, live, event } = await arrival();
    const { clerk } = backend.on;
    const genuine = signed(clerk, backend.secret, event);
    const altered = (headers: Record<string, string>): Delivery => ({
      ...genuine,
      headers: { ...genuine.headers, ...headers },
    });
    const signature = genuine.headers["svix-signature"] ?? "";
    const attack = async () => {
      for (const delivery of [
        signed(clerk, newSigningSecret(), event),
        signed(clerk, "whsec_", event),
        signed(clerk, backend.secret, event, Date.now() - 6 * 60_000),
        signed(clerk, backend.secret, event, Date.now() + 6 * 60_000),
        signed({ instanceId: "ins_other" }, backend.secret, event),
        { ...genuine, body: genuine.body.replace(live.id, "user_other") },
        { ...genuine, body: `${genuine.body} ` },
        { ...genuine, body: "" },
        { ...genuine, headers: { "content-type": "application/json" } },
        altered({ "svix-id": "msg_other" }),
        altered({ "svix-timestamp": Math.floor(Date.now() / 1000 + 1).toString() }),
        altered({ "svix-timestamp": "NaN" }),
        altered({ "svix-signature": "" }),
        altered({ "svix-signature": "v1," }),
        altered({ "svix-signature": signature.replace("v1,", "v1a,") }),
        altered({ "svix-signature": signature.slice(0, -4) }),
        altered({ "svix-signature": `v1,${"A".repeat(43)}=` }),
      ]) {
        expect(await backend.deliver(delivery)).toMatchObject({ status: 400 });
      }
    };
    expect(await changes(attack)).toEqual([]);
    expect(await backend.logIn(user)).toMatchObject({ status: 200 });
  });

  test("of another content type is not read", async () => {
    const { event } = await arrival();
    const { headers, body } = signed(backend.on.clerk, backend.secret, event);
    const attack = async () => {
      const answer = await backend.deliver({ headers: { ...headers, "content-type": "text/plain" }, body });
      expect(answer).toMatchObject({ status: 415 });
    };
    expect(await changes(attack)).toEqual([]);
  });

  test("that is replayed, often and at once, does what it did the first time", async () => {
    const { user, event } = await arrival();
    const delivery = signed(backend.on.clerk, backend.secret, event);
    expect(await backend.deliver(delivery)).toMatchObject({ status: 204 });
    const replay = async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => backend.deliver(delivery)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    };
    expect(await changes(replay)).toEqual([]);
    expect(await backend.logIn(user)).toMatchObject({ status: 401 });
  });

  test("of before a rollback, replayed after it, shuts nobody out", async () => {
    const { user, live, event } = await arrival();
    const delivery = signed(backend.on.clerk, backend.secret, event);
    await backend.deliver(delivery);
    await backend.on.query("update users set clerk_user_id = null where user_id = $1", [user.userId]);
    backend.on.clerk.store.removeUser(live.id);
    const old = signed(
      backend.on.clerk,
      backend.secret,
      userEvent("user.updated", { ...live, banned: true }),
    );
    await backend.deliver(old);
    expect(await backend.logIn(user)).toMatchObject({ status: 200 });
  });
});

test("a name of somebody who signs up cannot begin a line of a header or a log, and is no SQL", async () => {
  const names = [
    "Nora\r\nset-cookie: app_session=x",
    'Nora\n{"level":60}\u001b[31m',
    "Nora\u0000\u0085\u2028\u202eevil",
    "'); drop table users; --",
  ];
  for (const [n, name] of names.entries()) {
    const user = await signUp(`nora${n.toString()}@example.com`, name);
    expect(await backend.send(userEvent("user.created", user))).toMatchObject({ status: 204 });
    const [row] = await backend.on.query<{ name: string }>(
      "select name from users where clerk_user_id = $1",
      [user.id],
    );
    expect(row?.name).toMatch(/^(Nora|'\);)/);
    expect(row?.name).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    const token = await backend.signInToClerk({
      ...next(),
      email: `nora${n.toString()}@example.com`,
      password: "a good new password",
    });
    const answer = await backend.get("/me", { token });
    expect(answer).toMatchObject({ status: 200, body: { name: row?.name } });
    expect(answer.headers.get("set-cookie")).toBeNull();
  }
  for (const line of backend.log) expect(() => void JSON.parse(line)).not.toThrow();
});
