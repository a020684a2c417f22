import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { User } from "../../../sandbox/clerk/records";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { newSigningSecret, sessionCreated, signed, userEvent } from "../../../sandbox/clerk/webhooks";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { MARCUS, SARAH } from "../../systems";
import { openBackend, ORIGIN, type TestBackend } from "./backend";

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend();
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

const PASSWORD = "a good new password";

/** What is different after `work`, down to the byte. */
async function changes(work: () => Promise<unknown>): Promise<string[]> {
  const before = await snapshotDatabase(backend.on.database.url);
  await work();
  return describeDifference(before, await snapshotDatabase(backend.on.database.url));
}

/** Signs up with Clerk, as somebody new would. */
async function signUp(emailAddress: string): Promise<User> {
  const { clerk } = backend.on;
  const response = await fetch(`${clerk.issuer}/v1/client/sign_ups`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: ORIGIN },
    body: JSON.stringify({ email_address: emailAddress, password: PASSWORD, first_name: "Nora" }),
  });
  expect(response.ok).toBe(true);
  return clerk.store.userByEmailAddress(emailAddress) ?? notThere();
}

function notThere(): never {
  throw new Error("The user is not in Clerk.");
}

const rowsOf = (clerkUserId: string) =>
  backend.on.query<{ user_id: string; email: string }>(
    "select user_id, email, name, password_hash from users where clerk_user_id = $1",
    [clerkUserId],
  );

describe("a webhook", () => {
  test("does the same once, twice, and replayed", async () => {
    const user = await backend.migrate(SARAH);
    await backend.signInToClerk(SARAH);
    const event = sessionCreated(backend.on.clerk, backend.session(user));
    const delivery = signed(backend.on.clerk, backend.secret, event);
    expect(await backend.deliver(delivery)).toMatchObject({ status: 204 });
    const again = async () => {
      expect(await backend.deliver(delivery)).toMatchObject({ status: 204 });
      expect(await backend.send(event)).toMatchObject({ status: 204 });
      await Promise.all([backend.send(event), backend.send(event)]);
    };
    expect(await changes(again)).toEqual([]);
  });

  test("changes nothing where it is forged, tampered with, too old or of another instance", async () => {
    const user = await backend.migrate(SARAH);
    await backend.signInToClerk(SARAH);
    const event = sessionCreated(backend.on.clerk, backend.session(user));
    const { clerk } = backend.on;
    const genuine = signed(clerk, backend.secret, event);
    const bad = [
      signed(clerk, newSigningSecret(), event),
      { ...genuine, body: genuine.body.replace(user.id, "user_other") },
      { ...genuine, headers: { ...genuine.headers, "svix-id": "msg_other" } },
      { ...genuine, headers: { "content-type": "application/json" } },
      { ...genuine, headers: { ...genuine.headers, "svix-signature": "v1,e30=" } },
      signed(clerk, backend.secret, event, Date.now() - 6 * 60_000),
      signed({ instanceId: "ins_other" }, backend.secret, event),
    ];
    const send = async () => {
      for (const delivery of bad) expect(await backend.deliver(delivery)).toMatchObject({ status: 400 });
    };
    expect(await changes(send)).toEqual([]);
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 200 });
  });

  test("changes nothing where it is of no interest, or about somebody unknown", async () => {
    const send = async () => {
      for (const event of [
        { type: "email.created", data: {} },
        { type: "session.created", data: { user_id: "user_nobody" } },
        { type: "user.updated", data: { id: "user_nobody", external_id: "7", last_sign_in_at: 1 } },
        { type: "user.created", data: { id: "user_nobody", external_id: null } },
      ]) {
        expect(await backend.send(event)).toMatchObject({ status: 204 });
      }
    };
    expect(await changes(send)).toEqual([]);
  });

  test("is not listened to without a signing secret", async () => {
    const user = await backend.migrate(SARAH);
    await backend.restart({ CLERK_WEBHOOK_SIGNING_SECRET: "" });
    expect(await backend.send(userEvent("user.created", user))).toMatchObject({ status: 404 });
  });
});

describe("a new person in Clerk", () => {
  test("gets a row with its link, once, whatever comes first and however often", async () => {
    const user = await signUp("nora@example.com");
    const [session, created] = [
      sessionCreated(backend.on.clerk, backend.session(user)),
      userEvent("user.created", user),
    ];
    await backend.send(session);
    await Promise.all([backend.send(created), backend.send(created)]);
    expect(await backend.send(created)).toMatchObject({ status: 204 });
    expect(await rowsOf(user.id)).toMatchObject([
      { email: "nora@example.com", name: "Nora", password_hash: null },
    ]);
    const signedIn = await signIn(
      backend.on.clerk.issuer,
      { identifier: "nora@example.com", password: PASSWORD },
      ORIGIN,
    );
    const token = signedIn.status === "complete" ? signedIn.token : "";
    expect(await backend.get("/me", { token })).toMatchObject({ body: { name: "Nora", door: "clerk" } });
    expect(await backend.get("/chat-sessions", { token })).toMatchObject({ status: 200, body: [] });
  });

  test("is not taken for one where the migration has made the user", async () => {
    const user = await backend.migrate(SARAH);
    const before = backend.on.clerk.store.requests.length;
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
    // Ten thousand of these must not cost as many requests.
    expect(backend.on.clerk.store.requests).toHaveLength(before);
  });

  test("is not taken for one where the migration has made the user and the row is gone", async () => {
    const user = await backend.migrate(SARAH);
    await backend.on.query("delete from prompts where user_id = $1", [SARAH.userId]);
    await backend.on.query("delete from chat_sessions where user_id = $1", [SARAH.userId]);
    await backend.on.query("delete from users where user_id = $1", [SARAH.userId]);
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
  });

  test("who has a legacy row under the verified address gets that, and the legacy door is shut", async () => {
    const user = await signUp(MARCUS.email);
    await backend.send(userEvent("user.created", user));
    expect(await rowsOf(user.id)).toMatchObject([{ user_id: MARCUS.userId, email: MARCUS.email }]);
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 401 });
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
  });

  test("who has not proven the address of a legacy row does not get that row", async () => {
    const user = await signUp(MARCUS.email);
    backend.on.clerk.store.putUser({
      ...user,
      emailAddresses: user.emailAddresses.map((address) => ({ ...address, status: "unverified" })),
    });
    // The event still says that it was verified: what Clerk says now is what counts.
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 200 });
  });

  test("does not get a row that is linked to somebody else", async () => {
    await backend.on.query("update users set clerk_user_id = 'user_other' where user_id = $1", [
      MARCUS.userId,
    ]);
    const user = await signUp(MARCUS.email);
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
  });

  test("does not get one of two rows that share the address but for its case", async () => {
    await backend.on.query("insert into users (email) values ($1)", [MARCUS.email.toUpperCase()]);
    const user = await signUp(MARCUS.email);
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
  });

  test("gets no row where Clerk has deleted the user before the event came", async () => {
    const user = await signUp("nora@example.com");
    backend.on.clerk.store.removeUser(user.id);
    expect(await changes(() => backend.send(userEvent("user.created", user)))).toEqual([]);
  });

  test("is asked for again where Clerk does not answer", async () => {
    const user = await signUp("nora@example.com");
    backend.on.clerk.faults.add({ on: "GET /users/{user_id}", effect: { type: "answer", status: 503 } });
    expect(await backend.send(userEvent("user.created", user))).toMatchObject({ status: 500 });
    expect(await backend.send(userEvent("user.created", user))).toMatchObject({ status: 204 });
    expect(await rowsOf(user.id)).toHaveLength(1);
  });
});
