import { createHmac } from "node:crypto";

import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { User } from "../../../../sandbox/clerk/records";
import { openBackend, ORIGIN, type TestBackend } from "../backend";
import { type KeyServer, startKeyServer } from "./key-server";
import { people } from "./people";

const next = people();
const victim = next();

let backend: TestBackend;
let keys: KeyServer;
let user: User;
beforeAll(async () => {
  backend = await openBackend({}, { as: "main" });
  user = await backend.migrate(victim);
  keys = await startKeyServer(backend.on.clerk.url);
  await backend.restart({ CLERK_API_URL: keys.url });
});
afterAll(async () => {
  expect(await backend.close()).toEqual([]);
  await keys.stop();
});

const seconds = () => Math.floor(Date.now() / 1000);

/** The claims of a genuine token, of a minute's life, with changes. */
function claims(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    iss: backend.on.clerk.issuer,
    sub: user.id,
    sid: "sess_1",
    azp: ORIGIN,
    iat: seconds() - 5,
    nbf: seconds() - 15,
    exp: seconds() + 55,
    ...changes,
  };
}

const encoded = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
const enters = (token: string) => backend.get("/me", { token });
const arrivals = () =>
  backend.on.query("select user_id from clerk_arrivals where user_id = $1", [victim.userId]);

async function refused(token: string): Promise<void> {
  const signInFirst = { status: 401, body: { error: "Sign in first." } };
  expect(await enters(token)).toMatchObject(signInFirst);
  expect(await backend.get("/me", { cookie: `__session=${token}` })).toMatchObject(signInFirst);
}

describe("a session token is refused, and is no arrival,", () => {
  test.each([
    ["expired a minute ago", { exp: -60 }],
    ["not valid yet", { nbf: 60 }],
    ["of the future", { iat: 60 }],
  ])("that is %s", async (_what, times) => {
    const changes = Object.fromEntries(
      Object.entries(times).map(([name, ahead]) => [name, seconds() + ahead]),
    );
    await refused(await keys.sign(claims(changes)));
  });

  test.each([
    ["of another issuer", { iss: "https://evil.example.com" }],
    ["of no issuer", { iss: undefined }],
    ["of an issuer that begins alike", { iss: "http://127.0.0.1" }],
    ["made for another site", { azp: "https://evil.example.com" }],
    ["made for a site that ends alike", { azp: "https://evil-app.example.com" }],
    ["made for a sub-site", { azp: "https://app.example.com.evil.example" }],
    ["made for no site", { azp: undefined }],
    ["without an end", { exp: undefined }],
    ["whose end is text", { exp: "9999999999" }],
    ["of a template, which has no session", { sid: undefined }],
    ["with a task left", { sts: "pending" }],
    ["without a user", { sub: undefined }],
    ["whose user is a list", { sub: ["user_1"] }],
  ])("that is %s", async (_what, changes) => {
    await refused(await keys.sign(claims(changes)));
  });

  test("that nobody has signed", async () => {
    for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
      const parts = [encoded({ alg, typ: "JWT", kid: "ins_key" }), encoded(claims())];
      await refused([...parts, ""].join("."));
      await refused([...parts, "e30"].join("."));
    }
  });

  test("that is signed with another key of the same name", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    const signed = new SignJWT(claims()).setProtectedHeader({ alg: "RS256", typ: "JWT", kid: "ins_key" });
    await refused(await signed.sign(privateKey));
  });

  test("that brings its own key, or says where to find it", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    for (const more of [{ jwk: await exportJWK(publicKey) }, { jku: `${keys.url}/v1/jwks` }]) {
      const header = { alg: "RS256", typ: "JWT", kid: "ins_key", ...more };
      const signed = new SignJWT(claims()).setProtectedHeader(header);
      await refused(await signed.sign(privateKey));
    }
  });

  test("that takes the public key for a shared secret", async () => {
    const text = `${encoded({ alg: "HS256", typ: "JWT", kid: "ins_key" })}.${encoded(claims())}`;
    await refused(`${text}.${createHmac("sha256", keys.publicPem).update(text).digest("base64url")}`);
  });

  test("that was changed after it was signed", async () => {
    const other = next();
    const stranger = await backend.migrate(other);
    const [head = "", , signature = ""] = (await keys.sign(claims())).split(".");
    await refused([head, encoded(claims({ sub: stranger.id })), signature].join("."));
    await refused([head, encoded(claims()), signature.slice(0, -4)].join("."));
  });

  test("that names a user with an SQL of its own, or nobody", async () => {
    for (const sub of ["' or 1=1 --", `${user.id}' --`, "", "null", `${user.id}\u0000`, `${user.id} `]) {
      expect((await enters(await keys.sign(claims({ sub, userId: sub })))).status, sub).not.toBe(200);
    }
  });

  test("that names somebody by our own id, whose row is linked to another", async () => {
    await refused(await keys.sign(claims({ sub: "user_other", userId: victim.userId })));
  });

  test.each(["x", "a.b.c", "....", "..", "e30.e30.e30", "bnVsbA.bnVsbA.x", `${"a".repeat(4000)}.b.c`])(
    "that is none: %#",
    async (token) => {
      await refused(token);
    },
  );

  test("which is what all of these were", async () => {
    expect(await arrivals()).toEqual([]);
    expect(backend.log.filter((line) => line.includes("request failed"))).toEqual([]);
  });
});

test("a storm of unknown key names does not ask Clerk each time", async () => {
  await backend.restart({ CLERK_API_URL: keys.url });
  const before = keys.asked();
  const storm = Array.from({ length: 60 }, (_none, n) => keys.sign(claims(), { kid: `ins_${n.toString()}` }));
  const answers = await Promise.all((await Promise.all(storm)).map(enters));
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([401]));
  expect(keys.asked() - before).toBe(1);
});

test("a storm of tokens while Clerk gives no keys does not ask each time, and nobody is told to sign in", async () => {
  await backend.restart({ CLERK_API_URL: keys.url });
  keys.fail(503);
  const before = keys.asked();
  const token = await keys.sign(claims());
  const answers = await Promise.all(Array.from({ length: 40 }, () => enters(token)));
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([503]));
  expect(keys.asked() - before).toBeLessThan(4);
  keys.fail(undefined);
  await expect.poll(async () => (await enters(token)).status, { timeout: 5_000 }).toBe(200);
});

test("a genuine token opens, and no longer once it has expired, however often it is replayed", async () => {
  const token = await keys.sign(claims({ exp: seconds() - 2 }));
  // Clocks may differ by five seconds: that is how long it is good still.
  expect(await enters(token)).toMatchObject({ status: 200, body: { door: "clerk" } });
  expect(await enters(token)).toMatchObject({ status: 200 });
  await expect.poll(async () => (await enters(token)).status, { timeout: 10_000 }).toBe(401);
  await refused(token);
});
