import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { sampleUsers } from "../../../sandbox/sample-users";
import { MARCUS, SARAH } from "../../systems";
import { type Answer, openBackend, type TestBackend } from "./backend";

let backend: TestBackend;
beforeEach(async () => {
  backend = await openBackend();
});
afterEach(async () => {
  expect(await backend.close()).toEqual([]);
});

const withoutDigest = sampleUsers.find((user) => user.passwordDigest === null) ?? SARAH;
const UNKNOWN = "nobody@example.com";
const WRONG = "not the password";

/** All of an answer that a client can see, apart from what changes with time. */
function visible({ status, body, headers }: Answer) {
  const names = [...headers.keys()].filter((name) => name !== "date" && name !== "x-ratelimit-reset");
  return { status, body, headers: names.filter((name) => name !== "x-ratelimit-remaining") };
}

const tried = async (email: string, password: string) =>
  visible(await backend.post("/login", { email, password }));

describe("a login that fails", () => {
  test("gets the very same answer, whatever it fails for", async () => {
    await backend.migrate(MARCUS);
    await backend.get("/me", { token: await backend.signInToClerk(MARCUS) });
    const wrongPassword = await tried(SARAH.email, WRONG);
    expect(wrongPassword).toMatchObject({ status: 401, body: { error: "Address or password is wrong." } });
    expect(await tried(UNKNOWN, WRONG)).toEqual(wrongPassword);
    expect(await tried(withoutDigest.email, withoutDigest.password)).toEqual(wrongPassword);
    // Arrived: with the right password and with a wrong one.
    expect(await tried(MARCUS.email, MARCUS.password)).toEqual(wrongPassword);
    expect(await tried(MARCUS.email, WRONG)).toEqual(wrongPassword);
  });

  test("costs one comparison of the same cost, whatever it fails for", async () => {
    await backend.migrate(MARCUS);
    await backend.get("/me", { token: await backend.signInToClerk(MARCUS) });
    await backend.on.query("update users set password_hash = 'md5-of-old' where user_id = $1", [
      SARAH.userId,
    ]);
    for (const email of [UNKNOWN, withoutDigest.email, MARCUS.email, SARAH.email]) await tried(email, WRONG);
    expect(backend.compared).toHaveLength(4);
    expect(new Set(backend.compared.map((digest) => digest.slice(0, 7)))).toEqual(new Set(["$2b$10$"]));
    expect(new Set(backend.compared).size).toBe(1);
  });

  test("takes as long for an unknown address as for a known one", async () => {
    const time = async (email: string) => {
      const begin = performance.now();
      await tried(email, WRONG);
      return performance.now() - begin;
    };
    const known: number[] = [];
    const unknown: number[] = [];
    for (let round = 0; round < 7; round++) {
      known.push(await time(SARAH.email));
      unknown.push(await time(UNKNOWN));
    }
    // Without the comparison it would be a few milliseconds against sixty and more.
    expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 2);
  });

  test("is never let in by nobody's digest", async () => {
    for (const password of ["x", "x".repeat(53), " "]) {
      expect(await tried(UNKNOWN, password)).toMatchObject({ status: 401 });
    }
  });
});

test.each([
  ["no body", undefined],
  ["no password", { email: SARAH.email }],
  ["an empty password", { email: SARAH.email, password: "" }],
  ["a NUL", { email: `${SARAH.email}\0`, password: "x" }],
  ["something else than text", { email: [SARAH.email], password: 1 }],
])("refuses a login with %s without looking anybody up", async (_what, body) => {
  expect(await backend.post("/login", body)).toMatchObject({ status: 400 });
  expect(backend.compared).toEqual([]);
});

describe("the limit of tries", () => {
  test("for an address is the same whether or not somebody has it, in whatever case it is written", async () => {
    await backend.restart({ LOGIN_TRIES_PER_ADDRESS: "3" });
    const series = async (email: string) => {
      const answers: ReturnType<typeof visible>[] = [];
      for (let n = 0; n < 3; n++) answers.push(await tried(email, WRONG));
      answers.push(await tried(` ${email.toUpperCase()}`, WRONG));
      return answers;
    };
    const known = await series(SARAH.email);
    expect(known.map((answer) => answer.status)).toEqual([401, 401, 401, 429]);
    expect(await series(UNKNOWN)).toEqual(known);
    expect(await series(withoutDigest.email)).toEqual(known);
    expect(known[3]?.headers).toContain("retry-after");
    // Nor does the right password help: else the limit would tell that it is right.
    expect(await tried(SARAH.email, SARAH.password)).toMatchObject({ status: 429 });
    expect(backend.compared).toHaveLength(9);
  });

  test("for one address keeps nobody else out", async () => {
    await backend.restart({ LOGIN_TRIES_PER_ADDRESS: "1" });
    await tried(SARAH.email, WRONG);
    expect(await tried(SARAH.email, WRONG)).toMatchObject({ status: 429 });
    expect(await backend.logIn(MARCUS)).toMatchObject({ status: 200 });
  });

  test("for an IP counts over all addresses, and for open reset links as well", async () => {
    await backend.restart({ LOGIN_TRIES_PER_IP: "2" });
    await tried(SARAH.email, WRONG);
    await tried(MARCUS.email, WRONG);
    expect(await tried(UNKNOWN, WRONG)).toMatchObject({
      status: 429,
      body: { error: "Too many tries. Come back in a quarter of an hour." },
    });
    const reset = () => backend.post("/password-reset", { token: "x", password: "a new password" });
    expect([(await reset()).status, (await reset()).status, (await reset()).status]).toEqual([400, 400, 429]);
  });
});
