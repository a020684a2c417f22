import { afterEach, describe, expect, test } from "vitest";

import { openClerk } from "../../../providers/clerk/client";
import { messageOf } from "../../../providers/errors";
import { type ClerkOptions, type LocalClerk, startClerk } from "../../../sandbox/clerk/server";

let local: LocalClerk;
afterEach(() => local.stop());

async function open(options: ClerkOptions = {}, requestsPer10s = 100_000) {
  local = await startClerk({ enforceLimits: false, ...options });
  return openClerk({ secretKey: local.secretKey, apiUrl: local.url, requestsPer10s });
}

const newUser = (index: number) => ({
  externalId: `user-${index.toString()}`,
  emailAddress: `user-${index.toString()}@example.com`,
  firstName: null,
  lastName: null,
  createdAt: null,
  password: null,
  mark: { migration: "m_test" },
});
const kinds = () => local.store.requests.map(({ kind }) => kind);
const limited = () => local.store.requests.filter(({ status }) => status === 429);

describe("rate", () => {
  test("stays below a limit that Clerk enforces, without a single 429, from the first request on", async () => {
    const clerk = await open({ enforceLimits: true, limits: { requestsPer10s: 300 } }, 300);
    await Promise.all(Array.from({ length: 330 }, () => clerk.frontendApiUrls()));
    expect(kinds()).toHaveLength(330);
    expect(limited()).toEqual([]);
  });

  test("loses nobody while somebody else eats half of the limit, with a handful of 429s", async () => {
    const clerk = await open({ enforceLimits: true, limits: { requestsPer10s: 200, users: 1_000 } }, 200);
    // Somebody else has spent half of the window before we begin.
    const other = () =>
      fetch(`${local.url}/v1/instance`, { headers: { Authorization: `Bearer ${local.secretKey}` } });
    await Promise.all(Array.from({ length: 100 }, other));

    await Promise.all(Array.from({ length: 150 }, (_, index) => clerk.createUser(newUser(index))));

    expect(local.store.users.size).toBe(150);
    expect(limited().length).toBeGreaterThan(0);
    expect(limited().length).toBeLessThan(15);
  });

  test("pauses for as long as Retry-After says, for everybody at that endpoint", async () => {
    const clerk = await open({ enforceLimits: true });
    local.faults.add({ on: "POST /users", effect: { type: "answer", status: 429, retryAfter: 1 } });
    await Promise.all(Array.from({ length: 5 }, (_, index) => clerk.createUser(newUser(index))));
    const [first] = limited();
    const later = local.store.requests.filter(({ kind, status }) => kind === "POST /users" && status === 200);
    expect(later).toHaveLength(5);
    expect(Math.min(...later.map(({ at }) => at))).toBeGreaterThanOrEqual((first?.at ?? 0) + 950);
  });

  test("never waits for an hourly limit: the rest fails at once, without being sent", async () => {
    const clerk = await open({ enforceLimits: true, limits: { invitationsPerHour: 3 } });
    const invite = (index: number) =>
      clerk
        .createInvitation({
          emailAddress: `user-${index.toString()}@example.com`,
          redirectUrl: null,
          mark: { migration: "m_test", userId: index.toString() },
        })
        .then(() => "sent", messageOf);
    const outcomes = [];
    for (let index = 0; index < 6; index++) outcomes.push(await invite(index));
    expect(outcomes.filter((outcome) => outcome === "sent")).toHaveLength(3);
    expect(outcomes[5]).toMatch(
      /^Clerk's rate limit for POST \/invitations is used up for \d+ s\. Run the command again later/,
    );
    expect(kinds()).toHaveLength(4);
  });
});

describe("failures", () => {
  test("a refused key is asked for once, however many requests wait", async () => {
    local = await startClerk({});
    const clerk = openClerk({ secretKey: "sk_test_wrong", apiUrl: local.url, requestsPer10s: 1_000 });
    const first = await clerk.instance().catch(messageOf);
    const rest = await Promise.all(
      Array.from({ length: 36 }, (_, index) => clerk.createUser(newUser(index)).catch(messageOf)),
    );
    expect(new Set([first, ...rest])).toEqual(
      new Set([
        "Clerk does not know the key in CLERK_SECRET_KEY. Copy the secret key again from the dashboard, API keys, of the instance you mean.",
      ]),
    );
    expect(kinds()).toHaveLength(1);
  });

  test.each([
    { type: "cut-before" },
    { type: "truncated-json" },
    { type: "empty-body" },
    { type: "answer", status: 502 },
    { type: "answer", status: 503 },
  ] as const)("reads again after $type", async (effect) => {
    const clerk = await open();
    local.faults.add({ on: "GET /instance", times: 2, effect });
    expect((await clerk.instance()).id).toBe(local.instanceId);
    expect(kinds()).toHaveLength(3);
  });

  test.each([{ type: "cut-after" }, { type: "answer", status: 503 }] as const)(
    "never repeats a create or an invitation by itself after $type",
    async (effect) => {
      const clerk = await open();
      local.faults.add({ on: "POST /users", effect }, { on: "POST /invitations", effect });
      await expect(clerk.createUser(newUser(1))).rejects.toThrow();
      const mark = { migration: "m_test", userId: "1" };
      await expect(
        clerk.createInvitation({ emailAddress: "a@example.com", redirectUrl: null, mark }),
      ).rejects.toThrow();
      expect(kinds()).toEqual(["POST /users", "POST /invitations"]);
    },
  );

  test("gives up on an answer that never comes: reads again, and never repeats a create", async () => {
    local = await startClerk({ enforceLimits: false });
    const clerk = openClerk({
      secretKey: local.secretKey,
      apiUrl: local.url,
      requestsPer10s: 100_000,
      timeoutMs: 300,
    });
    local.faults.add(
      { on: "GET /instance", effect: { type: "hang" } },
      { on: "POST /users", effect: { type: "hang", committed: true } },
    );
    expect((await clerk.instance()).id).toBe(local.instanceId);
    await expect(clerk.createUser(newUser(1))).rejects.toThrow("no answer within 0.3 s");
    expect(kinds()).toEqual(["GET /instance", "GET /instance", "POST /users"]);
    expect(local.store.users.size).toBe(1);
  });

  test("fails at once for what is not listed", async () => {
    const clerk = await open();
    local.faults.add({ on: "GET /instance", times: 5, effect: { type: "answer", status: 403 } });
    await expect(clerk.instance()).rejects.toThrow("may not do this");
    expect(kinds()).toHaveLength(1);
  });

  test("says what to do where a required field, a limit or a restriction refuses a user", async () => {
    const clerk = await open({ settings: { attributes: { last_name: { enabled: true, required: true } } } });
    await expect(clerk.createUser(newUser(1))).rejects.toThrow(
      "requires more than the users table has (last_name). Make these attributes optional",
    );
  });
});

test("look-ups that are wanted at the same time share one request for each 100", async () => {
  const clerk = await open();
  await Promise.all(Array.from({ length: 3 }, (_, index) => clerk.createUser(newUser(index))));
  const before = local.store.requests.length;

  const found = await Promise.all(
    Array.from({ length: 250 }, (_, index) => clerk.userByExternalId(`user-${index.toString()}`)),
  );

  expect(found.map((user) => user?.externalId).filter(Boolean)).toEqual(["user-0", "user-1", "user-2"]);
  expect(local.store.requests.length - before).toBe(3);
});
