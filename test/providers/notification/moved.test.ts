import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { differs } from "../../../providers/notification/inputs";
import { ensureNotification } from "../../../providers/notification/lifecycle";
import { describePlan } from "../../../providers/plan-text";
import { readNotification } from "../../../providers/postgres/ledger-notifications";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { MARCUS, openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;
const NEW = "sarah.new@example.com";

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
  await ensureUser(on.systems, await on.declared(userId));
  await ensureNotification(on.systems, await on.notification(userId));
});
afterEach(() => on.close());

const ledger = () => readNotification(on.systems.database, on.migration, { userId, number: 0 });
const move = async () => {
  await on.query("update users set email = $1 where user_id = $2", [NEW, userId]);
  await ensureUser(on.systems, await on.declared(userId));
};
const open = () =>
  [...on.clerk.store.invitations.values()]
    .filter(({ status }) => status === "pending")
    .map(({ emailAddress }) => emailAddress);
const recipients = () => on.clerk.store.outbox.map((mail) => mail.to);

test("an address that changes before the user has arrived: the old link is revoked and the new address told, once", async () => {
  await move();
  const inputs = await on.notification(userId);
  expect(inputs.attempt).toBe(2);

  const outputs = await ensureNotification(on.systems, inputs);

  expect(open()).toEqual([NEW]);
  expect(recipients()).toEqual([SARAH.email, NEW]);
  const again = await on.notification(userId);
  expect(differs(outputs, again)).toBe(false);
  await ensureNotification(on.systems, again);
  expect(recipients()).toHaveLength(2);
});

test("whoever has arrived by then is not told again", async () => {
  await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
  await move();

  const outputs = await ensureNotification(on.systems, await on.notification(userId));

  expect(recipients()).toEqual([SARAH.email]);
  expect(differs(outputs, await on.notification(userId))).toBe(false);
});

test.each(["POST /invitations/{invitation_id}/revoke", "POST /invitations"])(
  "a run that is cut off at %s leaves one open invitation after the next",
  async (kind) => {
    await move();
    on.clerk.faults.add({ on: kind, effect: { type: "answer", status: 403 } });
    const cut = await ensureNotification(on.systems, await on.notification(userId));
    expect(cut.status).toBe("failed");
    expect(on.warnings.join()).toContain(`User ${userId}`);
    on.clerk.faults.clear();
    await on.restart();

    await ensureNotification(on.systems, await on.notification(userId));

    expect(open()).toEqual([NEW]);
    expect(recipients()).toEqual([SARAH.email, NEW]);
    expect(await ledger()).toMatchObject({ status: "sent" });
  },
);

test("mails count against the hour whoever sent them: this stack, or the dashboard", async () => {
  expect((await on.world()).mails.invitations).toMatchObject({ hour: { count: 1 }, thisMonth: 1 });
  for (const address of ["x@example.com", "y@example.com"]) {
    const response = await fetch(`${on.clerk.url}/v1/invitations`, {
      method: "POST",
      headers: { Authorization: `Bearer ${on.clerk.secretKey}`, "Content-Type": "application/json" },
      body: JSON.stringify({ email_address: address }),
    });
    expect(response.status).toBe(200);
  }
  expect((await on.world()).mails.invitations).toMatchObject({ hour: { count: 3 }, thisMonth: 3 });
  await on.query("update clerk_migration.notifications set sent_at = now() - interval '2 hours'");
  for (const [id, invitation] of on.clerk.store.invitations)
    on.clerk.store.invitations.set(id, { ...invitation, createdAt: Date.now() - 2 * 3_600_000 });
  expect((await on.world()).mails.invitations).toMatchObject({ hour: { count: 0, oldest: null } });
});

test("a page that the instance does not allow is found before anything is sent", async () => {
  const redirect = async () => (await on.plan()).findings.find(({ check }) => check === "mail/redirect");
  expect(await redirect()).toBeUndefined();
  on.clerk.settings.allowedOrigins = ["https://app.example.com"];
  expect(await redirect()).toMatchObject({
    status: "problem",
    sentence:
      "CLERK_INVITE_REDIRECT_URL leads to http://localhost:3000, which is not among the instance's allowed origins (https://app.example.com).",
  });
  on.clerk.settings.allowedOrigins = ["https://app.example.com", "http://localhost:3000"];
  expect(await redirect()).toBeUndefined();
});

test("somebody else's pending invitation for an address is left, and reported", async () => {
  const response = await fetch(`${on.clerk.url}/v1/invitations`, {
    method: "POST",
    headers: { Authorization: `Bearer ${on.clerk.secretKey}`, "Content-Type": "application/json" },
    body: JSON.stringify({ email_address: MARCUS.email }),
  });
  expect(response.status).toBe(200);
  const plan = await on.plan();
  const invited = plan.users.filter(({ notes }) => notes.includes("invited-by-others"));
  expect(invited.map((user) => user.userId)).toEqual([MARCUS.userId]);
  expect(describePlan(plan, on.settings())).toContain(
    `1 addresses have a pending invitation of somebody else, which is left as it is: they get another mail: ${MARCUS.userId}`,
  );
  await ensureUser(on.systems, await on.declared(MARCUS.userId));
  expect(await ensureNotification(on.systems, await on.notification(MARCUS.userId))).toMatchObject({
    status: "sent",
  });
  expect(open().filter((address) => address === MARCUS.email)).toHaveLength(2);
});
