import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { startClerk } from "../../../sandbox/clerk/server";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { sampleUsers } from "../../../sandbox/sample-users";
import { MARCUS, SARAH } from "../../systems";
import { openBackend, ORIGIN, type TestBackend } from "./backend";

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend();
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

test("shows the same user the same sessions and prompts through both doors", async () => {
  await backend.migrate(SARAH);
  const { cookie } = await backend.logIn(SARAH);
  const before = await backend.get("/chat-sessions", { cookie });
  const me = { userId: SARAH.userId, email: SARAH.email, name: SARAH.name };
  expect((await backend.get("/me", { cookie })).body).toEqual({ ...me, door: "legacy" });

  const token = await backend.signInToClerk(SARAH);
  expect((await backend.get("/me", { token })).body).toEqual({ ...me, door: "clerk" });
  const after = await backend.get("/chat-sessions", { token });

  expect(after.body).toEqual(before.body);
  expect(after.body).toMatchObject([{ title: "Trip to Lisbon" }]);
  expect(JSON.stringify(after.body)).toContain("Plan three days in Lisbon with a child.");
});

test("shows nobody the chats of somebody else", async () => {
  const of = async (user: typeof SARAH) =>
    (await backend.get("/chat-sessions", { cookie: (await backend.logIn(user)).cookie })).body;
  expect(JSON.stringify(await of(MARCUS))).not.toEqual(JSON.stringify(await of(SARAH)));
});

test.each(["/me", "/chat-sessions"])(
  "asks whoever comes to %s without a session to sign in",
  async (path) => {
    expect(await backend.get(path)).toMatchObject({ status: 401, body: { error: "Sign in first." } });
  },
);

describe("Clerk's door", () => {
  test("takes the token from Clerk's cookie too", async () => {
    await backend.migrate(SARAH);
    const cookie = `__session=${await backend.signInToClerk(SARAH)}`;
    expect((await backend.get("/me", { cookie })).body).toMatchObject({
      userId: SARAH.userId,
      door: "clerk",
    });
  });

  test("opens for users who were linked before the migration, without an external id", async () => {
    const linked = sampleUsers.find((user) => user.clerkUserId !== null && user.passwordDigest !== null);
    if (linked === undefined) throw new Error("The sample has nobody of that kind.");
    const token = await backend.signInToClerk(linked);
    expect((await backend.get("/me", { token })).body).toMatchObject({ userId: linked.userId });
  });

  test("knows a user whose link is missing by the legacy id that Clerk keeps", async () => {
    await backend.migrate(SARAH);
    await backend.on.query("update users set clerk_user_id = null where user_id = $1", [SARAH.userId]);
    const token = await backend.signInToClerk(SARAH);
    expect((await backend.get("/me", { token })).body).toMatchObject({ userId: SARAH.userId });
    expect(await backend.logIn(SARAH)).toMatchObject({ status: 401 });
  });

  test("does not open to a row that is linked to somebody else", async () => {
    await backend.migrate(SARAH);
    await backend.on.query("update users set clerk_user_id = 'user_other' where user_id = $1", [
      SARAH.userId,
    ]);
    const token = await backend.signInToClerk(SARAH);
    expect(await backend.get("/me", { token })).toMatchObject({ status: 401 });
  });

  test("refuses a person of this Clerk instance who has no row", async () => {
    const someone = await backend.systems.clerk.users.createUser({
      emailAddress: ["new@example.com"],
      password: "a good new password",
    });
    const signedIn = await signIn(
      backend.on.clerk.issuer,
      { identifier: "new@example.com", password: "a good new password" },
      ORIGIN,
    );
    expect(signedIn).toMatchObject({ status: "complete", userId: someone.id });
    const token = signedIn.status === "complete" ? signedIn.token : "";
    expect(await backend.get("/me", { token })).toMatchObject({ status: 401 });
  });

  test("refuses a token of another instance, even one that names the same user", async () => {
    const user = await backend.migrate(SARAH);
    const other = await startClerk({ instanceId: backend.on.clerk.instanceId });
    other.store.putUser(user);
    const forged = await signIn(other.issuer, { identifier: SARAH.email, password: SARAH.password }, ORIGIN);
    await other.stop();
    const token = forged.status === "complete" ? forged.token : "";
    expect(token).not.toBe("");
    expect(await backend.get("/me", { token })).toMatchObject({ status: 401 });
    expect(await backend.on.query("select * from clerk_arrivals")).toEqual([]);
  });

  test("refuses a token of another issuer", async () => {
    await backend.migrate(SARAH);
    const token = await backend.signInToClerk(SARAH);
    await backend.restart({ CLERK_ISSUER_URL: "https://clerk.example.com" });
    expect(await backend.get("/me", { token })).toMatchObject({ status: 401 });
    expect(await backend.on.query("select * from clerk_arrivals")).toEqual([]);
  });

  test("refuses what is no token, or signed by nobody", async () => {
    const user = await backend.migrate(SARAH);
    await backend.signInToClerk(SARAH);
    const encoded = (part: object | null) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const head = { alg: "none", typ: "JWT", kid: backend.on.clerk.instanceId };
    const claims = { sub: user.id, iss: backend.on.clerk.issuer, exp: 9_999_999_999, iat: 1, nbf: 1 };
    const unsigned = [encoded(head), encoded(claims), ""].join(".");
    for (const token of [
      "x",
      "a.b.c",
      "....",
      "e30.e30.e30",
      `${encoded(null)}.${encoded(null)}.x`,
      unsigned,
    ]) {
      expect(await backend.get("/me", { token }), token).toMatchObject({ status: 401 });
    }
  });

  test("refuses a token that was tampered with", async () => {
    await backend.migrate(SARAH);
    const [head = "", claims = "", signature = ""] = (await backend.signInToClerk(SARAH)).split(".");
    const text = Buffer.from(claims, "base64url").toString().replace(SARAH.userId, MARCUS.userId);
    const token = [head, Buffer.from(text).toString("base64url"), signature].join(".");
    expect(await backend.get("/me", { token })).toMatchObject({ status: 401 });
  });

  test("tells nobody to sign in again while Clerk cannot be asked for its keys", async () => {
    await backend.migrate(SARAH);
    const token = await backend.signInToClerk(SARAH);
    backend.on.clerk.faults.add({ on: "GET /jwks", effect: { type: "answer", status: 503 }, probability: 1 });
    expect(await backend.get("/me", { token })).toMatchObject({ status: 503 });
    backend.on.clerk.faults.clear();
    await expect.poll(() => backend.get("/me", { token })).toMatchObject({ status: 200 });
  });

  test("takes tokens of the origins it was given only", async () => {
    await backend.migrate(SARAH);
    const token = await backend.signInToClerk(SARAH);
    await backend.restart({ CLERK_AUTHORIZED_PARTIES: "https://other.example.com" });
    expect(await backend.get("/me", { token })).toMatchObject({ status: 401 });
    await backend.restart({ CLERK_AUTHORIZED_PARTIES: `https://other.example.com, ${ORIGIN}` });
    expect(await backend.get("/me", { token })).toMatchObject({ status: 200 });
  });
});

test("refuses an expired token", async () => {
  const past = await openBackend({}, { now: () => Date.now() - 2 * 3_600_000 });
  await past.migrate(SARAH);
  const token = await past.signInToClerk(SARAH);
  expect(await past.get("/me", { token })).toMatchObject({ status: 401 });
  expect(await past.on.query("select * from clerk_arrivals")).toEqual([]);
  expect(await past.close()).toEqual([]);
});

describe("the legacy door", () => {
  test("opens a session of a random token, of which only the hash is stored", async () => {
    const { status, body, cookie, headers } = await backend.logIn(SARAH);
    expect({ status, body }).toEqual({ status: 200, body: { userId: SARAH.userId } });
    expect(headers.get("set-cookie")).toMatch(/HttpOnly; Secure; SameSite=Lax/);
    const token = cookie.replace("__Host-app_session=", "");
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    const [row] = await backend.on.query<{ token_hash: Buffer }>("select token_hash from app_sessions");
    expect(row?.token_hash).toHaveLength(32);
    expect(row?.token_hash.toString("base64url")).not.toBe(token);
  });

  test("closes a session on logging out", async () => {
    const { cookie } = await backend.logIn(SARAH);
    expect(await backend.post("/logout", {}, { cookie })).toMatchObject({ status: 204 });
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  });

  test("ends sessions when their time is up", async () => {
    const { cookie } = await backend.logIn(SARAH);
    await backend.on.query("update app_sessions set expires_at = now()");
    expect(await backend.get("/me", { cookie })).toMatchObject({ status: 401 });
  });

  test("opens for users who are not migrated yet", async () => {
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 200, body: { userId: MARCUS.userId } });
  });
});
