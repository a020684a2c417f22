import { afterEach, beforeEach, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { ask, clientOf, legacyUser, refusal } from "./people";

const SECOND = 1000;
const HOUR = 3_600_000;

let time: number;
let clerk: LocalClerk;

beforeEach(async () => {
  time = Date.parse("2026-03-01T12:00:00Z");
  clerk = await startClerk({ now: () => time });
});

afterEach(() => clerk.stop());

test("answers a hundred requests in ten seconds on a development instance, and no more", async () => {
  await times(100, () => ask(clerk, "GET", "/users"));
  const refused = await refusal(clientOf(clerk).users.createUser(legacyUser()));
  expect(refused).toMatchObject({ status: 429, code: "too_many_requests", retryAfter: 10 });
  expect(clerk.store.users.size).toBe(0);

  time += 10 * SECOND;
  await clientOf(clerk).users.createUser(legacyUser());
});

test("answers a thousand on a production instance", async () => {
  const production = await startClerk({ secretKey: "sk_live_limits", now: () => time });
  const answers = await times(1001, () => ask(production, "GET", "/users"));
  await production.stop();
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1000);
});

test("counts over a window that slides", async () => {
  await times(60, () => ask(clerk, "GET", "/users"));
  time += 6 * SECOND;
  await times(40, () => ask(clerk, "GET", "/users"));
  const refused = await ask(clerk, "GET", "/users");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "4"]);

  time += 4 * SECOND;
  const answers = await times(61, () => ask(clerk, "GET", "/users"));
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(60);
});

test("blocks the endpoint that was refused, for as long as it said", async () => {
  clerk.faults.add({ on: "GET /users", effect: { type: "answer", status: 429, retryAfter: 3 } });
  expect((await ask(clerk, "GET", "/users")).status).toBe(429);
  time += 2 * SECOND;
  const blocked = await ask(clerk, "GET", "/users");
  expect([blocked.status, blocked.headers.get("retry-after")]).toEqual([429, "1"]);
  expect((await ask(clerk, "GET", "/users/count")).status).toBe(200);
  time += SECOND;
  expect((await ask(clerk, "GET", "/users")).status).toBe(200);
});

test("changes one user ten times in ten seconds, and others meanwhile", async () => {
  const sam = await clientOf(clerk).users.createUser(legacyUser());
  const kim = await clientOf(clerk).users.createUser(
    legacyUser({ emailAddress: ["kim@example.com"], externalId: "8" }),
  );
  const change = (id: string) => ask(clerk, "PATCH", `/users/${id}`, { first_name: "S" });
  await times(10, () => change(sam.id));
  expect((await change(sam.id)).status).toBe(429);
  expect((await change(kim.id)).status).toBe(200);
  expect((await ask(clerk, "PATCH", `/users/${sam.id}/metadata`, {})).status).toBe(200);
});

test("sends a hundred invitations in an hour, one by one", async () => {
  for (let number = 0; number < 100; number += 1) {
    time += SECOND;
    await clientOf(clerk).invitations.createInvitation({ emailAddress: `user${number}@example.com` });
  }
  const next = { emailAddress: "next@example.com" };
  const refused = await refusal(clientOf(clerk).invitations.createInvitation(next));
  expect(refused).toMatchObject({ status: 429, retryAfter: 3600 - 99 });
  // Those in bulk are counted for themselves.
  await clientOf(clerk).invitations.createInvitationBulk([next]);

  time += HOUR;
  await clientOf(clerk).invitations.createInvitation({ emailAddress: "later@example.com" });
});

test("takes twenty-five bulks of invitations in an hour", async () => {
  const bulks = await times(26, (number) =>
    ask(clerk, "POST", "/invitations/bulk", [{ email_address: `user${number}@example.com` }]),
  );
  expect(bulks.filter((answer) => answer.status === 200)).toHaveLength(25);
});

test("does not count the keys for session tokens", async () => {
  const answers = await times(150, () => ask(clerk, "GET", "/jwks"));
  expect(answers.every((answer) => answer.status === 200)).toBe(true);
});

test("can be told to have no rates at all", async () => {
  const unlimited = await startClerk({ enforceLimits: false });
  const answers = await times(150, () => ask(unlimited, "GET", "/users"));
  await unlimited.stop();
  expect(answers.every((answer) => answer.status === 200)).toBe(true);
});

/** One after the other: what is counted here is requests, not connections. */
async function times(count: number, request: (number: number) => Promise<Response>): Promise<Response[]> {
  const answers: Response[] = [];
  for (let number = 0; number < count; number += 1) {
    const answer = await request(number);
    await answer.arrayBuffer();
    answers.push(answer);
  }
  return answers;
}
