import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { sweep } from "../../../providers/migration/lifecycle";
import { differs } from "../../../providers/notification/inputs";
import { ensureNotification, takeBack } from "../../../providers/notification/lifecycle";
import { readNotification } from "../../../providers/postgres/ledger-notifications";
import { readUser } from "../../../providers/postgres/ledger-users";
import { signIn, ticketIn } from "../../../sandbox/clerk/sign-in";
import { type LocalSmtp, startSmtp } from "../../../sandbox/smtp";
import { openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;

let on: TestSystems;
let smtp: LocalSmtp;
beforeEach(async () => {
  on = await openTestSystems();
  smtp = await startSmtp({ login: { user: "app", password: "s3cret" }, startTls: true });
  await on.restartWith(own());
  await ensureUser(on.systems, await on.declared(userId));
});
afterEach(async () => {
  await on.close();
  await smtp.stop();
});

/** The stack's settings for a way of our own. */
const own = (changes: Readonly<Record<string, string>> = {}) => ({
  notify: "sign-in-link",
  smtpUrl: smtp.url,
  mailFrom: "AmpDial <hello@ampdial.example>",
  mailReplyTo: "support@ampdial.example",
  appName: "AmpDial",
  ...changes,
});
const tell = async (changes?: Readonly<Record<string, string>>) =>
  ensureNotification(on.systems, await on.notification(userId, own(changes)));
const page = () => on.settings().clerkInviteRedirectUrl ?? "";
const entry = () => readNotification(on.systems.database, on.migration, { userId, number: 0 });
const tokens = () => [...on.clerk.store.signInTokens.values()];
const linkIn = (text = "") => /https?:\/\/\S+__clerk_ticket=\S+/.exec(text)?.[0] ?? "";
/** What people decide who have looked into the mail server's log. */
const decide = (resend: number) => {
  on.decide({ [userId]: { resend } });
};

describe("a sign-in link", () => {
  test("reaches the user over TLS, after a login, and signs the right user in, once", async () => {
    const live = await readUser(on.systems.database, on.migration, userId);

    const outputs = await tell();

    expect(outputs).toMatchObject({ status: "sent", credentialId: tokens()[0]?.id });
    const [mail] = smtp.mails;
    expect(mail).toMatchObject({
      to: [SARAH.email],
      from: "hello@ampdial.example",
      isEncrypted: true,
      login: "app",
    });
    expect(mail?.content.subject).toBe("Your sign-in link for AmpDial");
    expect(mail?.content.replyTo?.[0]?.address).toBe("support@ampdial.example");
    expect(mail?.content.text).toContain(`Hello ${SARAH.name?.split(" ")[0] ?? ""},`);
    const link = linkIn(mail?.content.text);
    expect(link.startsWith(`${page()}?__clerk_ticket=`)).toBe(true);
    expect(mail?.content.html).toContain(link);
    const credentials = { strategy: "ticket", ticket: ticketIn(link) } as const;
    expect(await signIn(on.clerk.issuer, credentials)).toMatchObject({
      status: "complete",
      userId: live?.clerkUserId,
    });
    expect((await signIn(on.clerk.issuer, credentials)).status).toBe("refused");
  });

  test("leaves its token in no output, ledger, warning or plan", async () => {
    const outputs = await tell();
    const ticket = ticketIn(linkIn(smtp.mails[0]?.content.text));
    const ledger = await on.query<{ row: string }>("select row::text from clerk_migration.notifications row");
    const plan = await on.plan(own());
    expect(ticket.length).toBeGreaterThan(20);
    expect(JSON.stringify([outputs, ledger, on.warnings, plan])).not.toContain(ticket);
  });

  test("is sent once: a second run, and a later change of the setting, send nothing", async () => {
    const first = await tell();
    expect(differs(first, await on.notification(userId, own()))).toBe(false);
    await tell();
    const changed = await on.notification(userId);
    expect(changed.way).toBe("sign-in-link");
    expect(differs(first, changed)).toBe(false);
    expect([smtp.mails.length, on.clerk.store.outbox.length]).toEqual([1, 0]);
  });

  test("is revoked by a rollback, and by the root's delete, which knows the ledger only", async () => {
    const outputs = await tell();
    await takeBack(on.systems, outputs);
    expect(tokens().map(({ status }) => status)).toEqual(["revoked"]);
    await on.query("update clerk_migration.notifications set status = 'sent', credential_id = null");
    await takeBack(on.systems, outputs);
    expect(await entry()).toMatchObject({ status: "revoked" });
  });

  test("goes to a new address with a new token, and the old one no longer signs in", async () => {
    await tell();
    await on.query("update users set email = 'sarah.new@example.com' where user_id = $1", [userId]);
    await ensureUser(on.systems, await on.declared(userId));
    await tell();
    expect(tokens().map(({ status }) => status)).toEqual(["revoked", "pending"]);
    expect(smtp.mails.map(({ to }) => to[0])).toEqual([SARAH.email, "sarah.new@example.com"]);
  });
});

describe("an announcement", () => {
  const announce = { notify: "announcement" };

  test("holds no credential, and says where to sign in", async () => {
    expect(await tell(announce)).toMatchObject({ status: "sent", credentialId: "" });
    expect(smtp.mails[0]?.content.text).toContain(page());
    expect(smtp.mails[0]?.raw).not.toContain("ticket");
    expect(tokens()).toEqual([]);
  });

  test("is a sign-in link for whoever has no password in Clerk", async () => {
    await on.query("update clerk_migration.users set passwords = 'reset'");
    expect((await on.notification(userId, own(announce))).way).toBe("sign-in-link");
  });
});

describe("a mail that is not sent", () => {
  test.each([
    ["recipient", 550, "refused the mail for the recipient's address (550)"],
    ["sender", 451, "could not be sent now, for the sender's address (451)"],
    ["login", 454, "at the login"],
    ["connection", 421, "while connecting (421)"],
  ] as const)("because of the %s: fails alone, and the next up sends it", async (stage, code, sentence) => {
    const inputs = await on.notification(userId, own());
    smtp.fail({ on: stage, effect: { type: "reply", code } });

    const outputs = await ensureNotification(on.systems, inputs);

    expect(outputs).toMatchObject({ status: "failed" });
    expect(outputs.reason).toContain(sentence);
    expect(on.warnings.join()).toContain(`Not told, next up tries again: User ${userId}`);
    expect(on.warnings.join()).not.toContain(SARAH.email);
    expect(tokens().map(({ status }) => status)).toEqual(["revoked"]);

    await on.restartWith(own());
    expect(await tell()).toMatchObject({ status: "sent", attempt: 2 });
    expect(smtp.mails).toHaveLength(1);
  });

  test("because the server is away is not tried for everybody else in that run", async () => {
    const users = (await on.plan(own())).users.flatMap(({ declared }) => declared ?? []).slice(0, 4);
    for (const user of users) await ensureUser(on.systems, user);
    const plan = await on.plan(own());
    await smtp.stop();
    const before = smtp.connectionCount();
    const statuses = [];
    for (const user of users) {
      const mail = plan.users.find((one) => one.userId === user.userId)?.notifications[0];
      if (mail !== undefined) statuses.push((await ensureNotification(on.systems, mail)).status);
    }
    expect(statuses).toEqual(["failed", "failed", "failed", "failed"]);
    expect(smtp.connectionCount()).toBe(before);
    const { mails, users: planned, findings } = await on.plan(own());
    expect(findings.find(({ check }) => check === "mail/server")).toMatchObject({ status: "problem" });
    expect(mails.own.problem).toContain("Nobody can be told now: the mail could not be sent now");
    expect(planned.every(({ told }) => told === "later" || told === "never")).toBe(true);
  });

  test.each([
    ["before the message", "recipient", "failed"],
    ["within the message", "message", "unknown"],
  ] as const)(
    "because the server hangs up %s is about that one mail: the others get theirs",
    async (_, stage, status) => {
      const users = (await on.plan(own())).users.flatMap(({ declared }) => declared ?? []).slice(0, 4);
      for (const user of users) await ensureUser(on.systems, user);
      const plan = await on.plan(own());
      smtp.fail({ on: stage, effect: { type: "cut" } });
      const statuses = [];
      for (const user of users) {
        const mail = plan.users.find((one) => one.userId === user.userId)?.notifications[0];
        if (mail !== undefined) statuses.push((await ensureNotification(on.systems, mail)).status);
      }
      expect(statuses).toEqual([status, "sent", "sent", "sent"]);
      expect(on.warnings.join()).toContain(users[0]?.userId);
    },
  );

  test("because Clerk makes no token: nothing is sent, and nothing is unknown", async () => {
    on.clerk.faults.add({ on: "POST /sign_in_tokens", effect: { type: "cut-after" } });
    expect(await tell()).toMatchObject({ status: "failed" });
    expect(smtp.mails).toEqual([]);
    expect(await tell()).toMatchObject({ status: "sent" });
    expect(smtp.mails).toHaveLength(1);
  });
});

describe("a mail that may have arrived", () => {
  beforeEach(() => {
    smtp.fail({ on: "message", effect: { type: "cut" } });
  });

  test("is not repeated by the next up, nor by the one after", async () => {
    const outputs = await tell();
    expect(outputs).toMatchObject({ status: "unknown", attempt: 1 });
    expect(outputs.reason).toContain("write `resend: 1` for this user into decisions.yaml");
    expect(differs(outputs, await on.notification(userId, own()))).toBe(false);
    expect(await tell()).toMatchObject({ status: "unknown" });
    expect(smtp.mails).toHaveLength(1);
    expect(await entry()).toMatchObject({ status: "unknown", attempt: 1 });
  });

  test("is sent again on a decision, once, and its first link no longer signs in", async () => {
    await tell();
    decide(1);
    const again = await on.notification(userId, own());
    expect(again.attempt).toBe(2);

    expect(await ensureNotification(on.systems, again)).toMatchObject({ status: "sent" });
    expect(tokens().map(({ status }) => status)).toEqual(["revoked", "pending"]);
    expect((await on.notification(userId, own())).attempt).toBe(2);
    expect((await on.plan(own())).idleDecisions).toEqual([userId]);
    await tell();
    expect(smtp.mails).toHaveLength(2);
  });

  test("is not repeated by an old decision where the repetition is lost as well", async () => {
    await tell();
    decide(1);
    smtp.fail({ on: "message", effect: { type: "cut" } });
    expect(await tell()).toMatchObject({ status: "unknown", attempt: 2 });
    await tell();
    expect(smtp.mails).toHaveLength(2);
    expect((await on.plan(own())).users.find((user) => user.userId === userId)?.unknownMail).toBe(2);
  });

  test("is carried out only where somebody may be told, and announced as such", async () => {
    await tell();
    decide(1);
    const planned = async (
      changes: Readonly<Record<string, string>>,
      environment?: Readonly<Record<string, string>>,
    ) => {
      const user = (await on.plan(own(changes), environment)).users.find((one) => one.userId === userId);
      return [user?.told, user?.notifications.map(({ maySend }) => maySend)];
    };
    expect(await planned({ notify: "none" })).toEqual(["sent", [false]]);
    expect(await planned({ notifyOnly: "somebody@example.com" })).toEqual(["sent", [false]]);
    expect(await planned({}, { MIGRATE_HELD_ONLY: "true" })).toEqual(["sent", [false]]);
    expect(await planned({ mailsPerHour: "1" })).toEqual(["later", [false]]);
    expect(await planned({})).toEqual(["again", [true]]);
  });

  test("keeps waiting for the decision where Clerk is away when it is carried out", async () => {
    await tell();
    decide(1);
    on.clerk.faults.add({
      on: "POST /sign_in_tokens/{sign_in_token_id}/revoke",
      times: 9,
      effect: { type: "answer", status: 422 },
    });
    const outputs = await tell();
    expect(outputs).toMatchObject({ status: "unknown" });
    on.clerk.faults.clear();
    const again = await on.notification(userId, own());
    expect(differs(outputs, again)).toBe(true);
    expect(await ensureNotification(on.systems, again)).toMatchObject({ status: "sent" });
    expect(smtp.mails).toHaveLength(2);
  });
});

test("a run that was killed while a mail was on its way leaves it unknown, with the decision to write", async () => {
  await tell();
  await on.query("update clerk_migration.notifications set status = 'sending', email_fingerprint = null");
  const outputs = await tell();
  expect(outputs.status).toBe("unknown");
  expect(outputs.reason).toContain("write `resend: 1` for this user into decisions.yaml");
  expect(smtp.mails).toHaveLength(1);
  expect(await entry()).toMatchObject({ status: "unknown", attempt: 1 });
});

describe("a rehearsal", () => {
  const rehearsal = { redirectAllMailTo: "me@example.com" };

  test("goes to one address, with a link that signs nobody in, and counts as told for nobody", async () => {
    await on.restartWith(own(rehearsal));
    const outputs = await tell(rehearsal);
    expect(outputs).toMatchObject({ status: "rehearsed", credentialId: "" });
    expect(smtp.mails.map(({ to }) => to)).toEqual([["me@example.com"]]);
    expect(smtp.mails[0]?.raw).not.toContain(SARAH.email);
    expect(tokens()).toEqual([]);
    // Once, as long as it lasts.
    expect(differs(outputs, await on.notification(userId, own(rehearsal)))).toBe(false);

    await on.restartWith(own());
    const real = await on.notification(userId, own());
    expect(differs(outputs, real)).toBe(true);
    expect(await ensureNotification(on.systems, real)).toMatchObject({ status: "sent" });
    expect(smtp.mails[1]?.to).toEqual([SARAH.email]);
  });

  test("that may have arrived is repeated without asking, and holds nobody's own mail back", async () => {
    await on.restartWith(own(rehearsal));
    smtp.fail({ on: "message", effect: { type: "cut" } });
    expect(await tell(rehearsal)).toMatchObject({ status: "failed" });
    expect(await tell(rehearsal)).toMatchObject({ status: "rehearsed" });
    await on.restartWith(own());
    expect(await tell()).toMatchObject({ status: "sent" });
    expect(smtp.mails.map(({ to }) => to[0])).toEqual(["me@example.com", "me@example.com", SARAH.email]);
  });

  test("is refused for invitations, and on production unless asked for twice", () => {
    expect(() => on.settings({ notify: "invitation", ...rehearsal })).toThrow(
      "redirectAllMailTo cannot redirect invitations, because Clerk sends those.",
    );
    const live = { CLERK_SECRET_KEY: "sk_live_x" };
    expect(() => on.settings(own(rehearsal), live)).toThrow(
      "run `pulumi config set rehearseOnProduction true`",
    );
    expect(on.settings(own({ ...rehearsal, rehearseOnProduction: "true" }), live)).toMatchObject(rehearsal);
  });
});

describe("a reminder", () => {
  const remind = { remindAfterDays: "7", maxReminders: "2" };
  const pass = (days: number) =>
    on.query(
      `update clerk_migration.notifications set sent_at = sent_at - interval '${days.toString()} days'`,
    );
  const reminder = (number: number) => on.notification(userId, own(remind), number);

  test("goes to whoever has not arrived, when it is due, and as often as allowed", async () => {
    await tell();
    await pass(6);
    await expect(reminder(1)).rejects.toThrow("no mail");
    await pass(1);
    await ensureNotification(on.systems, await reminder(1));
    await expect(reminder(2)).rejects.toThrow("no mail");
    await pass(7);
    await ensureNotification(on.systems, await reminder(2));
    await pass(70);
    await expect(reminder(3)).rejects.toThrow("no mail");
    await ensureNotification(on.systems, await reminder(2));
    expect(smtp.mails.map(({ content }) => content.subject)).toEqual([
      "Your sign-in link for AmpDial",
      "Reminder: your sign-in link for AmpDial",
      "Reminder: your sign-in link for AmpDial",
    ]);
    // Each of them works, and each is taken back.
    await sweep(on.systems, on.migration);
    expect(new Set(tokens().map(({ status }) => status))).toEqual(new Set(["revoked"]));
  });

  test("is not sent to whoever arrives between the plan and the mail", async () => {
    await tell();
    await pass(8);
    const due = await reminder(1);
    await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
    expect(await ensureNotification(on.systems, due)).toMatchObject({ status: "not-needed" });
    expect(smtp.mails).toHaveLength(1);
    await expect(reminder(1)).rejects.toThrow("no mail");
  });

  test("is another invitation where the user was told by one", async () => {
    await on.restartWith({});
    await ensureNotification(on.systems, await on.notification(userId));
    await pass(8);
    const due = await on.notification(userId, remind, 1);
    on.clerk.faults.add({ on: "POST /invitations", effect: { type: "cut-after" } });
    expect(await ensureNotification(on.systems, due)).toMatchObject({ status: "unknown" });
    // Found by its number, and not mistaken for the first.
    await ensureNotification(on.systems, await on.notification(userId, remind, 1));
    expect(on.clerk.store.outbox).toHaveLength(2);
  });
});

test("an unlinked user is not told, and is told by the next up once linked again", async () => {
  const inputs = await on.notification(userId, own());
  await deleteUser(on.systems, await on.recorded(userId));
  const outputs = await ensureNotification(on.systems, inputs);
  expect(outputs).toMatchObject({ status: "failed" });
  await ensureUser(on.systems, await on.declared(userId));
  const again = await on.notification(userId, own());
  expect(differs(outputs, again)).toBe(true);
  expect(await ensureNotification(on.systems, again)).toMatchObject({ status: "sent" });
});
