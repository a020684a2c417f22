import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { signIn, ticketIn } from "../../sandbox/clerk/sign-in";
import { connected } from "../../sandbox/postgres";
import { sampleUsers } from "../../sandbox/sample-users";
import { type LocalSmtp, startSmtp } from "../../sandbox/smtp";
import { type Stack, startStack } from "./stack";

const legacy = sampleUsers.filter((user) => user.clerkUserId === null);
const MAIL_PASSWORD = "mail-server-secret";

let smtp: LocalSmtp;
let stack: Stack;
const variables = () => ({ SMTP_URL: smtp.url });
const ticketOf = (text = "") => ticketIn(/https?:\/\/\S+__clerk_ticket=\S+/.exec(text)?.[0] ?? "");

beforeAll(async () => {
  smtp = await startSmtp({ login: { user: "app", password: MAIL_PASSWORD }, startTls: true });
  stack = await startStack();
  const templates = join(stack.directory, "mails");
  await mkdir(templates);
  await writeFile(
    join(templates, "sign-in-link.txt"),
    "Subject: Willkommen bei {{appName}}\nLanguage: de\n\nHallo {{firstName}},\n\n{{link}}\n",
  );
  await stack.configure({
    notify: "sign-in-link",
    mailFrom: "AmpDial <hello@ampdial.example>",
    appName: "AmpDial",
    mailTemplates: templates,
    mailsPerHour: "20",
  });
});
afterAll(async () => {
  expect(await stack.stop()).toEqual([]);
  await smtp.stop();
});

test("mails of our own, from the preview to the way back, with the real CLI", async () => {
  const missing = await stack.pulumi(["preview"]);
  expect(missing.exitCode).not.toBe(0);
  expect(missing.output).toContain("SMTP_URL is not set, and notify is sign-in-link");

  const preview = await stack.pulumi(["preview"], variables());
  expect(preview.exitCode, preview.output).toBe(0);
  expect(preview.output).toContain("Mail: 20 mails with a sign-in link, template sign-in-link");
  expect(preview.output).toContain("16 more are pending: at most 20 an hour and 1000 today");
  expect(preview.output).toContain("The last one goes out in about 1 hour");
  expect(smtp.mails).toEqual([]);

  const up = await stack.up(variables());
  expect(up.exitCode, up.output).toBe(0);
  expect(smtp.mails).toHaveLength(20);
  expect((await stack.outputs()).notifications).toMatchObject({ sent: 20, failed: 0, pending: 16 });
  for (const mail of smtp.mails) {
    const user = legacy.find(({ email }) => email === mail.to[0]);
    expect(mail.content.subject).toBe("Willkommen bei AmpDial");
    const session = await signIn(stack.clerk.issuer, {
      strategy: "ticket",
      ticket: ticketOf(mail.content.text),
    });
    const signedIn = session.status === "complete" ? stack.clerk.store.users.get(session.userId) : undefined;
    expect(signedIn?.externalId).toBe(user?.userId);
  }

  const again = await stack.up(variables());
  expect(again.exitCode, again.output).toBe(0);
  expect(smtp.mails).toHaveLength(20);

  // The hour is over, and the server is away for some.
  await connected(stack.databaseUrl, (client) =>
    client.query("update clerk_migration.mails set at = at - interval '2 hours'"),
  );
  smtp.fail({ on: "recipient", times: 2, effect: { type: "reply", code: 550 } });
  smtp.fail({ on: "message", effect: { type: "cut" } });
  const faulty = await stack.up(variables());
  expect(faulty.exitCode, faulty.output).toBe(0);
  expect((await stack.outputs()).notifications).toMatchObject({ sent: 33, failed: 2, unknown: 1 });
  const last = await stack.up(variables());
  expect((await stack.outputs()).notifications).toMatchObject({ sent: 35, failed: 0, unknown: 1 });
  const waiting = await stack.pulumi(["preview"], variables());
  expect(waiting.output).toContain("1 mail may be out, or not, and nobody can be asked.");
  expect(waiting.output).toMatch(/[0-9a-f-]{36}: \{ resend: 1 \}/);

  const told = smtp.mails.map(({ to }) => to[0]);
  expect(new Set(told).size).toBe(told.length);
  const state = await stack.exportState();
  const everything = [preview, up, again, faulty, last, waiting].map(({ output }) => output).join("") + state;
  for (const secret of [MAIL_PASSWORD, ...smtp.mails.map(({ content }) => ticketOf(content.text))])
    expect(everything).not.toContain(secret);

  const destroy = await stack.destroy({ ...variables(), ROLLBACK_SIGNED_IN: "delete" });
  expect(destroy.exitCode, destroy.output).toBe(0);
  const open = [...stack.clerk.store.signInTokens.values()].filter(({ status }) => status === "pending");
  expect(open).toEqual([]);
}, 240_000);
