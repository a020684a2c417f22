import type { ClerkClient } from "@clerk/backend";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createFaults } from "../../../sandbox/clerk/faults";
import { type Fault, type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { ask, clientOf, legacyUser, refusal } from "./people";

let clerk: LocalClerk;
let client: ClerkClient;

beforeEach(async () => {
  clerk = await startClerk();
  client = clientOf(clerk);
});

afterEach(() => clerk.stop());

type Effect = Fault["effect"];

describe("a fault", () => {
  const unknown = { status: undefined, code: "unexpected_error" };

  test.each<[string, Effect, object, number]>([
    ["cuts the connection before anything was written", { type: "cut-before" }, unknown, 0],
    ["cuts it after the user was written", { type: "cut-after" }, unknown, 1],
    ["truncates the answer about a user who was written", { type: "truncated-json" }, unknown, 1],
    ["empties the answer about a user who was written", { type: "empty-body" }, unknown, 1],
    [
      "answers 500 as Clerk does",
      { type: "answer", status: 500 },
      { status: 500, code: "internal_clerk_error" },
      0,
    ],
    [
      "answers 503 as Clerk does",
      { type: "answer", status: 503 },
      { status: 503, code: "service_unavailable" },
      0,
    ],
    ["answers 502 with a proxy's page", { type: "answer", status: 502 }, { status: 502, code: undefined }, 0],
    [
      "answers 504 about a user who was written",
      { type: "answer", status: 504, committed: true },
      { status: 504, code: "gateway_timeout" },
      1,
    ],
    [
      "answers 409 when two requests meet",
      { type: "answer", status: 409 },
      { status: 409, code: "resource_locked" },
      0,
    ],
    [
      "answers 429 with the seconds to wait",
      { type: "answer", status: 429, retryAfter: 7 },
      { status: 429, code: "too_many_requests", retryAfter: 7 },
      0,
    ],
  ])("%s", async (_what, effect, expected, usersAfter) => {
    clerk.faults.add({ on: "POST /users", effect });
    expect(await refusal(client.users.createUser(legacyUser()))).toMatchObject(expected);
    expect(clerk.store.users.size).toBe(usersAfter);
    expect(clerk.store.requests).toMatchObject([{ fault: effect.type, wrote: usersAfter === 1 }]);
  });

  test("leaves the client waiting", async () => {
    clerk.faults.add({ on: "GET /instance", effect: { type: "hang" } });
    const waiting = fetch(`${clerk.url}/v1/instance`, {
      headers: { authorization: `Bearer ${clerk.secretKey}` },
      signal: AbortSignal.timeout(300),
    });
    await expect(waiting).rejects.toThrow("timeout");
    expect(clerk.store.requests).toMatchObject([{ kind: "GET /instance", status: null, fault: "hang" }]);
  });

  test("delays an answer, and does nothing else to it", async () => {
    clerk.faults.add({ on: "*", effect: { type: "delay", ms: 50 } });
    const before = performance.now();
    await client.users.createUser(legacyUser());
    expect(performance.now() - before).toBeGreaterThan(45);
    expect(clerk.store.users.size).toBe(1);
  });

  test("strikes after those it skips, as often as told, where it was told", async () => {
    clerk.faults.add({ on: "GET /users", skip: 1, times: 2, effect: { type: "answer", status: 500 } });
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1)
      statuses.push((await ask(clerk, "GET", "/users")).status);
    expect(statuses).toEqual([200, 500, 500, 200]);
    expect((await ask(clerk, "GET", "/instance")).status).toBe(200);
    expect(clerk.faults.list()).toMatchObject([{ struck: 2 }]);
  });
});

describe("faults", () => {
  const cut = { type: "cut-before" } as const;

  test("strike by chance the same way for the same seed", () => {
    const strikes = (seed: number) => {
      const faults = createFaults();
      faults.seed(seed);
      faults.add({ on: "*", probability: 0.3, effect: cut });
      return Array.from({ length: 200 }, () => faults.strike("GET /users").length);
    };
    expect(strikes(1)).toEqual(strikes(1));
    expect(strikes(1)).not.toEqual(strikes(2));
    const struck = strikes(1).filter((count) => count > 0).length;
    expect(struck).toBeGreaterThan(40);
    expect(struck).toBeLessThan(80);
  });

  test("may be meant for all of a method", () => {
    const faults = createFaults();
    faults.add({ on: "POST *", times: 9, effect: cut });
    expect(faults.strike("POST /users")).toHaveLength(1);
    expect(faults.strike("GET /users")).toHaveLength(0);
  });

  test("are delays as many as there are, and one other", () => {
    const faults = createFaults();
    const delay = { type: "delay", ms: 1 } as const;
    faults.add(
      { on: "*", effect: delay },
      { on: "*", effect: delay },
      { on: "*", effect: cut },
      { on: "*", effect: cut },
    );
    expect(faults.strike("GET /users").map((effect) => effect.type)).toEqual([
      "delay",
      "delay",
      "cut-before",
    ]);
    expect(faults.strike("GET /users").map((effect) => effect.type)).toEqual(["cut-before"]);
  });

  test("can be ordered and cancelled over HTTP", async () => {
    const order = { seed: 3, faults: [{ on: "GET /users", effect: { type: "answer", status: 500 } }] };
    const ordered = await post(order);
    expect(await ordered.json()).toMatchObject([{ on: "GET /users", skip: 0, struck: 0 }]);
    expect((await ask(clerk, "GET", "/users")).status).toBe(500);

    await post({ on: "*", times: 5, effect: cut });
    await fetch(`${clerk.url}/sandbox/faults`, { method: "DELETE" });
    expect((await ask(clerk, "GET", "/users")).status).toBe(200);
  });

  test("that make no sense are refused with the reason", async () => {
    const refused = await post({ on: "*", effect: { type: "explode" } });
    expect(refused.status).toBe(400);
    expect(clerk.faults.list()).toEqual([]);
  });

  function post(order: unknown): Promise<Response> {
    return fetch(`${clerk.url}/sandbox/faults`, { method: "POST", body: JSON.stringify(order) });
  }
});
