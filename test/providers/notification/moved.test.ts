import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { differs } from "../../../providers/notification/inputs";
import { ensureNotification, takeBack } from "../../../providers/notification/lifecycle";
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

test("preview announces who is told once more, and counts it", async () => {
  await move();
  const plan = await on.plan({ emails: NEW });
  expect(plan.users.find((user) => user.userId === userId)).toMatchObject({ told: "again" });
  expect(describePlan(plan, on.settings())).toContain("Mail: 1 invitations by Clerk;");
  expect(describePlan(plan, on.settings())).toContain("1 of them is sent once more: the address has changed");
});

test.each([
  ["with notify: none", { notify: "none" }, {}],
  ["outside notifyOnly", { notifyOnly: "somebody@example.com" }, {}],
  ["in the pass before destroy", {}, { MIGRATE_HELD_ONLY: "true" }],
  ["beyond the hour's room", { invitationsPerHour: "1" }, {}],
  [
    "by an invitation in a rehearsal",
    {
      notify: "sign-in-link",
      redirectAllMailTo: "me@example.com",
      ...{ smtpUrl: "smtp://127.0.0.1:1", mailFrom: "app@example.com", appName: "App" },
    },
    {},
  ],
])(
  "nobody is told again %s, and the old link is revoked; once it may be, the new address is told, once",
  async (_, changes: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>>) => {
    await move();
    const plan = await on.plan({ ...changes, emails: NEW }, environment);
    const planned = plan.users.find((user) => user.userId === userId);
    const [inputs] = planned?.notifications ?? [];
    if (inputs === undefined) throw new Error("The mail that is out is not declared.");
    expect(inputs.maySend).toBe(false);
    const text = describePlan(plan, on.settings(changes, environment));
    expect(text).toMatch(/Mail: (none|nobody)/);
    expect(text).toContain(
      "1 went to an address that the user no longer has, or to somebody whom the application has shut out: the link is revoked.",
    );

    const outputs = await ensureNotification(on.systems, inputs);
    expect(outputs.status).toBe("withheld");
    expect(recipients()).toEqual([SARAH.email]);
    expect(open()).toEqual([]);
    expect(await ensureNotification(on.systems, inputs)).toEqual(outputs);

    const next = await on.notification(userId);
    expect(differs(outputs, next)).toBe(true);
    const sent = await ensureNotification(on.systems, next);
    expect(recipients()).toEqual([SARAH.email, NEW]);
    const again = await on.notification(userId);
    expect(again.maySend || differs(sent, again)).toBe(false);
  },
);

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
  await on.query("update clerk_migration.mails set at = now() - interval '2 hours'");
  for (const [id, invitation] of on.clerk.store.invitations)
    on.clerk.store.invitations.set(id, { ...invitation, createdAt: Date.now() - 2 * 3_600_000 });
  expect((await on.world()).mails.invitations).toMatchObject({ hour: { count: 0, oldest: null } });
});

test("a rollback gives back none of the hour's room, whatever Clerk's list has forgotten", async () => {
  const room = async () => {
    const told = (await on.plan({ invitationsPerHour: "2" })).users.map((user) => user.told);
    return told.filter((turn) => turn === "now").length;
  };
  expect(await room()).toBe(1);
  await takeBack(on.systems, await ensureNotification(on.systems, await on.notification(userId)));
  await deleteUser(on.systems, await on.recorded(userId));
  expect(open()).toEqual([]);
  expect(await room()).toBe(1);

  await ensureUser(on.systems, await on.declared(userId));
  await ensureNotification(on.systems, await on.notification(userId));
  expect((await on.world()).mails.invitations).toMatchObject({ hour: { count: 2 }, thisMonth: 2 });
  expect(await room()).toBe(0);
  // Once Clerk alone knew, and once the ledger alone.
  const before = [...on.clerk.store.invitations];
  on.clerk.store.invitations.clear();
  expect(await room()).toBe(0);
  for (const [id, invitation] of before) on.clerk.store.invitations.set(id, invitation);
  await on.query("truncate clerk_migration.mails");
  expect(await room()).toBe(0);
});

test("what Clerk has refused counts as sent for nobody", async () => {
  await ensureUser(on.systems, await on.declared(MARCUS.userId));
  on.clerk.faults.add({ on: "POST /invitations", effect: { type: "answer", status: 403 } });
  await ensureNotification(on.systems, await on.notification(MARCUS.userId));
  expect((await on.world()).mails.invitations.hour.count).toBe(1);
  expect(await on.query("select outcome from clerk_migration.mails order by mail_id")).toEqual([
    { outcome: "sent" },
    { outcome: "failed" },
  ]);
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
