import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { type LocalSmtp, startSmtp } from "../../sandbox/smtp";
import { openTestSystems, type TestSystems } from "../systems";
import { runCommand } from "./run-command";

let on: TestSystems;
let smtp: LocalSmtp;
let templates: string;
beforeEach(async () => {
  on = await openTestSystems();
  smtp = await startSmtp();
  templates = await mkdtemp(join(tmpdir(), "clerk-migration-mail-"));
});
afterEach(async () => {
  await on.close();
  await smtp.stop();
  await rm(templates, { recursive: true });
});

const mail = (args: readonly string[], config: Readonly<Record<string, string>> = {}) =>
  runCommand(on, "mail", args, {
    config: { notify: "announcement", appName: "AmpDial", mailFrom: "hello@ampdial.example", ...config },
    environment: { SMTP_URL: smtp.url },
  });

test("sends one example to the address given, and writes to no system", async () => {
  const run = await mail(["--to", "me@example.com", "--template", "sign-in-link", "--first-name", "Ada"]);
  expect(run).toMatchObject({ exitCode: 0, printed: "The mail server took the mail.\n" });
  expect(smtp.mails.map(({ to, content }) => [to, content.subject])).toEqual([
    [["me@example.com"], "Your sign-in link for AmpDial"],
  ]);
  expect(smtp.mails[0]?.content.text).toContain("Hello Ada,");
  expect(smtp.mails[0]?.content.text).toContain("signs-nobody-in");
  expect(on.written()).toEqual([]);
});

test("shows the mail that users would get, and the reminder, without sending", async () => {
  const shown = await mail(["--print"]);
  expect(shown.printed).toMatch(/^Subject: AmpDial has a new sign-in\n\nHello,\n/);
  expect((await mail(["--print", "--reminder"])).printed).toMatch(
    /^Subject: Reminder: AmpDial has a new sign-in\n/,
  );
  expect((await mail(["--html"])).printed).toMatch(/^<!doctype html>/i);
  expect(smtp.mails).toEqual([]);
});

test("says what is wrong with address, template or server, and what to do", async () => {
  expect((await mail(["--to", "a@example.com, b@example.com"])).output).toContain(
    "--to has to be one address.",
  );
  expect((await mail(["--to", "me@example.com", "--template", "invitation"])).output).toContain(
    "--template is sign-in-link or announcement.",
  );
  await writeFile(join(templates, "announcement.txt"), "Subject: Hi\n\n{{signInUrl}} {{nmae}}\n");
  const wrong = await mail(["--print"], { mailTemplates: templates });
  expect(wrong.exitCode).toBe(1);
  expect(wrong.output).toContain("announcement.txt, line 3: {{nmae}} is no placeholder of this mail");
  smtp.fail({ on: "recipient", effect: { type: "reply", code: 550 } });
  const refused = await mail(["--to", "me@example.com"]);
  expect(refused).toMatchObject({
    exitCode: 1,
    printed:
      "The mail server refused the mail for the recipient's address (550); it was not sent. Check the address.\n",
  });
});

test("a template that is wrong stops a dry run before anything is declared", async () => {
  await writeFile(join(templates, "sign-in-link.txt"), "Subject: Hi\n\nno link\n");
  const run = await runCommand(on, "plan", [], {
    config: {
      notify: "sign-in-link",
      appName: "AmpDial",
      mailFrom: "hello@ampdial.example",
      mailTemplates: templates,
    },
    environment: { SMTP_URL: smtp.url },
  });
  expect(run.exitCode).toBe(1);
  expect(run.output).toContain("sign-in-link.txt: {{link}} is missing.");
});
