import { afterEach, beforeEach, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { clientOf, DIGEST, legacyUser } from "./people";

let clerk: LocalClerk;

beforeEach(async () => {
  clerk = await startClerk();
  await clientOf(clerk).users.createUser(legacyUser({ firstName: "<b>Sam</b>" }));
  await clientOf(clerk).invitations.createInvitation({ emailAddress: "new@example.com" });
});

afterEach(() => clerk.stop());

test("shows a person users, mails and requests, but no digest and no markup of others", async () => {
  const response = await fetch(clerk.url);
  const page = await response.text();
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(page).toContain("sam@example.com (verified)");
  expect(page).toContain("new@example.com");
  expect(page).toContain("POST /v1/users");
  expect(page).toContain("&lt;b&gt;Sam&lt;/b&gt;");
  expect(page).not.toContain(DIGEST);
});

test("shows a program the same as JSON", async () => {
  const response = await fetch(`${clerk.url}/sandbox.json`);
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({
    instance: { id: clerk.instanceId },
    users: [{ external_id: "7" }],
    invitations: [{ email_address: "new@example.com", status: "pending" }],
    outbox: [{ to: "new@example.com", delivered: true }],
    requests: [{ kind: "POST /users" }, { kind: "POST /invitations" }],
    faults: [],
  });
  expect(text).not.toContain(DIGEST);
});

test("offers a page to sign in on, which passes a ticket on", async () => {
  const page = await (await fetch(`${clerk.issuer}/sign-in?__clerk_ticket=abc`)).text();
  expect(page).toContain(`<input type="hidden" name="ticket" value="abc">`);
});
