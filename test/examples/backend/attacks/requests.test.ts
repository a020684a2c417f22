import { request } from "node:http";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { hashOf } from "../../../../examples/backend/tokens";
import type { SampleUser } from "../../../../sandbox/sample-users";
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

const COOKIE = "__Host-app_session";
const EVIL = "https://evil.example.com";

const json = { "content-type": "application/json" };
const posted = (body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit => ({
  method: "POST",
  headers: { ...json, ...headers },
  body: JSON.stringify(body),
});
const me = (cookie: string) => backend.get("/me", { cookie });
const statusOf = async (cookie: string) => (await me(cookie)).status;

/** What of the whole database is different after `work`. */
async function changes(work: () => Promise<unknown>): Promise<string[]> {
  const before = await snapshotDatabase(backend.on.database.url);
  await work();
  return describeDifference(before, await snapshotDatabase(backend.on.database.url));
}

describe("a session", () => {
  test("that somebody has planted before the login is not the one after it", async () => {
    const user = next();
    const planted = `${COOKIE}=${"a".repeat(43)}`;
    const answer = await backend.ask("/login", posted(user), { cookie: planted });
    expect(answer.status).toBe(200);
    expect(answer.cookie).not.toBe(planted);
    expect(await statusOf(planted)).toBe(401);
    expect(await statusOf(answer.cookie)).toBe(200);
  });

  test("of the attacker's own ends where the victim logs in with it", async () => {
    const [attacker, victim] = [next(), next()];
    const planted = (await backend.logIn(attacker)).cookie;
    const { cookie } = await backend.ask("/login", posted(victim), { cookie: planted });
    expect(await statusOf(planted)).toBe(401);
    expect((await me(cookie)).body).toMatchObject({ userId: victim.userId });
  });

  test("is a new one at each login, and no longer good after logging out, however often it is replayed", async () => {
    const user = next();
    const [first, second] = [(await backend.logIn(user)).cookie, (await backend.logIn(user)).cookie];
    expect(first).not.toBe(second);
    const out = await backend.post("/logout", {}, { cookie: second });
    expect(out.headers.get("set-cookie")).toMatch(/^__Host-app_session=; .*Path=\/.*HttpOnly; Secure/);
    expect([await statusOf(second), await statusOf(second), await statusOf(first)]).toEqual([401, 401, 200]);
  });

  test("is in a cookie that no sibling domain can set, and no script can read", async () => {
    const line = (await backend.logIn(next())).headers.get("set-cookie") ?? "";
    expect(line).toMatch(/^__Host-app_session=/);
    const attributes = line.split("; ").map((attribute) => attribute.split("=", 1)[0]);
    expect(attributes.slice(1).sort()).toEqual(["Expires", "HttpOnly", "Path", "SameSite", "Secure"]);
    expect(line).toMatch(/; Path=\/;.*SameSite=Lax/);
  });

  test("is not taken from a cookie of the plain name, nor where a second one was tossed in", async () => {
    const [attacker, victim] = [next(), next()];
    const [tossed, own] = [(await backend.logIn(attacker)).cookie, (await backend.logIn(victim)).cookie];
    expect(await statusOf(tossed.replace("__Host-", ""))).toBe(401);
    for (const both of [`${tossed}; ${own}`, `${own}; ${tossed}`, `${own};${tossed}`]) {
      expect(await statusOf(both)).toBe(401);
    }
    const withOther = await me(`${tossed.replace("__Host-", "")}; ${own}`);
    expect(withOther.body).toMatchObject({ userId: victim.userId });
  });

  test("of Clerk's is not taken from either of two cookies of its name", async () => {
    const [attacker, victim] = [next(), next()];
    await backend.migrate(attacker);
    await backend.migrate(victim);
    const [tossed, own] = [await backend.signInToClerk(attacker), await backend.signInToClerk(victim)];
    expect(await statusOf(`__session=${tossed}; __session=${own}`)).toBe(401);
    expect(await statusOf(`__session=${own}; __session=${tossed}`)).toBe(401);
    expect(await statusOf(`__session=${own}`)).toBe(200);
  });

  test.each(["", "x", "' or '1'='1", "%00", "%E0%A4%A", "..", `"`, "a=b=c", "é"])(
    "is not opened by the cookie %j",
    async (value) => {
      expect(await statusOf(`${COOKIE}=${encodeURIComponent(value)}`)).toBe(401);
      expect(await statusOf(`${COOKIE}=${value.replaceAll(/[^\x20-\x7e]/g, "")}`)).toBe(401);
    },
  );
});

describe("a request that another site's page sends", () => {
  test.each([EVIL, "null", `${ORIGIN}.evil.example`, "http://app.example.com", `${ORIGIN}:444`])(
    "from %s changes nothing",
    async (origin) => {
      const user = next();
      const { cookie } = await backend.logIn(user);
      const attempts: [string, unknown][] = [
        ["/login", user],
        ["/logout", {}],
        ["/password", { current: user.password, password: "a password of the attacker" }],
        ["/password-reset", { token: "x", password: "a password of the attacker" }],
      ];
      const attack = async () => {
        for (const [path, body] of attempts) {
          const answer = await backend.ask(path, posted(body, { origin }), { cookie });
          expect(answer).toMatchObject({ status: 403, body: { error: "This comes from another site." } });
          expect(answer.headers.get("set-cookie")).toBeNull();
        }
      };
      expect(await changes(attack)).toEqual([]);
      expect(await statusOf(cookie)).toBe(200);
    },
  );

  test("as a form, or without an origin, changes nothing either", async () => {
    const { cookie } = await backend.logIn(next());
    const attack = async () => {
      const foreign: Record<string, string>[] = [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: EVIL, "content-type": "text/plain" },
        { origin: EVIL, "content-type": "application/x-www-form-urlencoded" },
      ];
      for (const headers of foreign) {
        expect(await backend.ask("/logout", { method: "POST", headers }, { cookie })).toMatchObject({
          status: 403,
        });
      }
    };
    expect(await changes(attack)).toEqual([]);
    expect(await statusOf(cookie)).toBe(200);
  });

  test("is not let read anything", async () => {
    const { cookie } = await backend.logIn(next());
    const answer = await backend.ask("/me", { headers: { origin: EVIL } }, { cookie });
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(await backend.ask("/login", { method: "OPTIONS", headers: { origin: EVIL } })).toMatchObject({
      status: 404,
    });
  });

  test("is served where the page is ours", async () => {
    const answer = await backend.ask("/login", posted(next(), { origin: ORIGIN }));
    expect(answer.status).toBe(200);
  });
});

test("nothing in between may keep an answer, whatever it is", async () => {
  const { cookie, headers } = await backend.logIn(next());
  const answers = [
    headers,
    (await me(cookie)).headers,
    (await me("")).headers,
    (await backend.get("/nowhere")).headers,
    (await backend.post("/login", {})).headers,
    (await backend.ask("/logout", posted({}, { origin: EVIL }))).headers,
    (await backend.post("/webhooks/clerk", {})).headers,
  ];
  expect(answers.map((all) => all.get("cache-control"))).toEqual(answers.map(() => "no-store"));
});

describe("a request that is too large", () => {
  test.each(["/login", "/password", "/password-reset", "/logout"])("for %s is not read", async (path) => {
    const large = { email: "a".repeat(20_000), password: "x" };
    expect(await backend.post(path, large)).toMatchObject({ status: 413 });
  });

  test("for the webhook is not read", async () => {
    expect(await backend.post("/webhooks/clerk", { data: "a".repeat(300_000) })).toMatchObject({
      status: 413,
    });
  });

  test("in its headers is not read, and the backend goes on", async () => {
    expect((await me(`${COOKIE}=${"a".repeat(20_000)}`).catch(() => ({ status: 431 }))).status).toBe(431);
    expect(await statusOf("")).toBe(401);
  });

  test("in a field is not looked up", async () => {
    const user = next();
    for (const body of [
      { ...user, email: "a".repeat(321) },
      { ...user, password: "a".repeat(1025) },
      { email: { $ne: null }, password: { $ne: null } },
      { email: [user.email], password: [user.password] },
    ]) {
      expect(await backend.post("/login", body)).toMatchObject({ status: 400 });
    }
  });
});

test.each([
  ["half a body", `{"email":`],
  ["no object", `"text"`],
  ["null", "null"],
  ["a prototype", `{"__proto__":{"email":"x"},"password":"x"}`],
  ["a constructor", `{"constructor":{"prototype":{"email":"x"}}}`],
  ["a deep one", `{"email":${"[".repeat(5000)}${"]".repeat(5000)}}`],
])("a body with %s is a 400 and no failure of ours", async (_what, body) => {
  for (const path of ["/login", "/password", "/password-reset"]) {
    expect(await backend.ask(path, { method: "POST", headers: json, body })).toMatchObject({ status: 400 });
  }
});

const SQL = [
  "' or '1'='1",
  "'; drop table users; --",
  "x'); delete from app_sessions; --",
  "\\'; select pg_sleep(5); --",
  "$1",
  "%",
  "_%@%",
  "\u0000",
  "\ud800",
];

/** Nothing happens to this one, so all of these share it. */
let shared: SampleUser | undefined;

test.each(SQL)("SQL in any field is a value like any other: %j", async (text) => {
  const user = (shared ??= next());
  const coded = encodeURIComponent(Buffer.from(text).toString());
  const { cookie } = await backend.logIn(user);
  const attack = async () => {
    const answers = [
      await backend.post("/login", { email: text, password: text }),
      await backend.post("/login", { email: user.email, password: text }),
      await backend.post("/login", { email: `${user.email}${text}`, password: user.password }),
      await backend.post("/password-reset", { token: text, password: `${text} and long enough` }),
      await backend.post("/password", { current: text, password: `${text} and long enough` }, { cookie }),
      await backend.get(`/me?userId=${coded}`, { token: coded }),
      await backend.get(`/${coded}`),
      await me(`${COOKIE}=${coded}`),
    ];
    expect(answers.filter(({ status }) => status < 400 || status >= 500)).toEqual([]);
  };
  expect(await changes(attack)).toEqual([]);
});

test("a line break in a header is no header, and in a path no line of the log", async () => {
  const user = next();
  const { hostname, port } = new URL(backend.url);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asked = request(
      { hostname, port, path: "/me%0d%0aset-cookie:%20a=b", headers: { cookie: `${COOKIE}=x%0d%0ay` } },
      (response) => {
        expect(response.headers["set-cookie"]).toBeUndefined();
        resolve(response.resume().statusCode);
      },
    );
    asked.once("error", reject).end();
  });
  expect(status).toBe(404);
  await backend.post("/login", { email: `${user.email}\r\n{"level":60}`, password: "x\r\ny" });
  for (const line of backend.log.filter((one) => one.trim() !== "")) {
    expect(() => void JSON.parse(line)).not.toThrow();
  }
  expect(backend.log.filter((line) => line.includes(`"level":60`))).toEqual([]);
});

describe("whether somebody has an account", () => {
  const WRONG = "not the password";
  const seen = (answer: Awaited<ReturnType<TestBackend["get"]>>) => ({
    status: answer.status,
    body: answer.body,
    headers: [...answer.headers.keys()],
  });
  const tried = async (email: string, password = WRONG) =>
    seen(await backend.post("/login", { email, password }));

  test("is told by no answer", async () => {
    const [known, arrived] = [next(), next()];
    await backend.migrate(arrived);
    await backend.get("/me", { token: await backend.signInToClerk(arrived) });
    const answer = await tried(known.email);
    expect(answer).toMatchObject({ status: 401, body: { error: "Address or password is wrong." } });
    expect(await tried("nobody@example.com")).toEqual(answer);
    expect(await tried(arrived.email, arrived.password)).toEqual(answer);
    const reset = async (token: string) =>
      seen(await backend.post("/password-reset", { token, password: "a password of the new kind" }));
    await backend.on.query("insert into password_resets values ($1, $2, now() + interval '1 hour')", [
      hashOf("link-of-arrived"),
      arrived.userId,
    ]);
    expect(await reset("link-of-arrived")).toEqual(await reset("never-was"));
  });

  test("is told by no delay", async () => {
    const known = next();
    const time = async (email: string) => {
      const begin = performance.now();
      await tried(email);
      return performance.now() - begin;
    };
    const [ofKnown, ofUnknown]: [number[], number[]] = [[], []];
    for (let round = 0; round < 9; round++) {
      ofKnown.push(await time(known.email));
      ofUnknown.push(await time("nobody@example.com"));
    }
    // A comparison takes sixty milliseconds and more; without one the answer would be there in a few.
    const ratio = Math.min(...ofUnknown) / Math.min(...ofKnown);
    expect(ratio).toBeGreaterThan(0.5);
    expect(ratio).toBeLessThan(2);
  });
});
