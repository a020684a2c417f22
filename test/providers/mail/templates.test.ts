import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { messageOf } from "../../../providers/errors";
import { defaultTemplates } from "../../../providers/mail/default-templates";
import { loadTemplates } from "../../../providers/mail/template-files";
import { type MailValues, renderMail } from "../../../providers/mail/templates";

const common = { firstName: "Ada", appName: "Ampdial", signInUrl: "https://app.example.com/sign-in" };
const link: MailValues = {
  ...common,
  kind: "sign-in-link",
  link: "https://clerk.example.com/v1/tickets/accept?ticket=t0ken&x=1",
  expires: new Date("2026-11-30T12:00:00Z"),
};
const announcement: MailValues = { ...common, kind: "announcement" };

describe("the default", () => {
  test("sign-in link says what it does, how often and until when", () => {
    const { subject, text } = renderMail(defaultTemplates, link);
    expect(subject).toBe("Your sign-in link for Ampdial");
    expect(text).toMatchInlineSnapshot(`
      "Hello Ada,

      Ampdial has a new sign-in. Your account has moved there, with everything in it. This link signs you in:

      https://clerk.example.com/v1/tickets/accept?ticket=t0ken&x=1

      It works once, until Monday, 30 November 2026 at 12:00 UTC. There is no hurry: you can also sign in later, or without the link, at https://app.example.com/sign-in.

      Please keep this mail to yourself, because whoever has the link can sign in as you. If you no longer use Ampdial, you need not do anything.
      "
    `);
  });

  test("announcement says that nobody has to do anything", () => {
    const { subject, text } = renderMail(defaultTemplates, announcement);
    expect(subject).toBe("Ampdial has a new sign-in");
    expect(text).toMatchInlineSnapshot(`
      "Hello Ada,

      Ampdial has a new sign-in. Your account has moved there, with everything in it. You need not do anything: you can go on signing in with your password at

      https://app.example.com/sign-in

      We never ask for your password by mail.
      "
    `);
  });

  test("announcement holds no link but the sign-in page", () => {
    const { text, html } = renderMail(defaultTemplates, announcement);
    for (const body of [text, html])
      expect(new Set(body.match(/https?:[^\s"<]+/g))).toEqual(new Set([common.signInUrl]));
    expect(text + html).not.toMatch(/ticket|token/);
  });

  test.each([link, announcement])("HTML of $kind loads nothing from elsewhere", (values) => {
    const { html } = renderMail(defaultTemplates, values);
    expect(html).not.toMatch(/<img|<link|<script|url\(|@import| src=/);
    expect(html).toContain('<html lang="en">');
    expect(html).toContain("prefers-color-scheme: dark");
    expect(html).not.toMatch(/\{\{|\}\}/);
  });

  test("leads to the very link, also with an ampersand in it", () => {
    expect(renderMail(defaultTemplates, link).html).toContain('accept?ticket=t0ken&amp;x=1"');
  });
});

describe("a first name", () => {
  const greeting = (firstName: string | null) => {
    const { text, html } = renderMail(defaultTemplates, { ...announcement, firstName });
    return { text: text.split("\n")[0], html: />(Hello[^\n]*)<\/p>/.exec(html)?.[1] };
  };

  test.each([null, "", " \n "])("that is not there (%j) leaves no gap", (firstName) => {
    expect(greeting(firstName)).toEqual({ text: "Hello,", html: "Hello," });
  });

  test("is escaped in HTML, and stays itself in the text", () => {
    const hostile = `<img onerror="x">&'{{signInUrl}}`;
    expect(greeting(hostile)).toEqual({
      text: `Hello ${hostile},`,
      html: "Hello &lt;img onerror=&quot;x&quot;&gt;&amp;&#39;{{signInUrl}},",
    });
  });

  test("cannot add lines", () => {
    expect(greeting("Ada\r\nBcc: eve").text).toBe("Hello Ada Bcc: eve,");
  });

  test.each(["Win at https://evil.example", "www.evil.example", "x".repeat(61), "eve@evil.example"])(
    "that is an advertisement (%s) is left out",
    (firstName) => {
      expect(greeting(firstName).text).toBe("Hello,");
    },
  );

  test("may have a dot or an apostrophe, in any script", () => {
    for (const name of ["J. R.", "O'Hara", "Žofie", "李"]) expect(greeting(name).text).toBe(`Hello ${name},`);
  });
});

describe("files", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "clerk-migration-mail-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function load(files: Readonly<Record<string, string>>) {
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
    return loadTemplates(directory);
  }

  test("replace a default; the other one stays, and HTML is made from the text", async () => {
    const templates = await load({
      "sign-in-link.txt":
        "Subject: Dein Zugang\r\nLanguage: de\r\nButton: Anmelden\r\n\r\nHallo {{ firstName }}!\r\n\r\n{{link}}\r\n\r\nBis {{expires}}\r\n",
    });
    const mail = renderMail(templates, link);
    expect(mail.subject).toBe("Dein Zugang");
    expect(mail.text).toContain("Hallo Ada!\n\nhttps://clerk.example.com");
    expect(mail.text).toContain("Bis Montag, 30. November 2026");
    expect(mail.html).toContain('<html lang="de">');
    expect(mail.html).toContain(">Anmelden</a>");
    expect(templates.announcement).toEqual(defaultTemplates.announcement);
  });

  test("have an HTML of their own, where everything is escaped", async () => {
    const templates = await load({
      "announcement.txt": "Subject: Hi\n\nHi {{firstName}}, {{signInUrl}}",
      "announcement.html": '<p>Hi {{firstName}} <a href="{{signInUrl}}">in</a></p>',
    });
    expect(renderMail(templates, { ...announcement, firstName: "<b>" }).html).toBe(
      '<p>Hi &lt;b&gt; <a href="https://app.example.com/sign-in">in</a></p>',
    );
  });

  test("report everything that is wrong, with file and line, in one error", async () => {
    const message = await load({
      "sign-in-link.txt": "Hello\n\n{{firstName}}, follow {{lnk}}\n{{expires}",
      "sign-in-link.html": "<p>nothing</p>",
      "announcement.html": "{{signInUrl}}",
      "anouncement.txt": "",
    }).then(() => "taken", messageOf);
    expect(message.replaceAll(`${directory}/`, "mail/")).toMatchInlineSnapshot(`
      "9 things are wrong with the mail templates: 
        - mail/anouncement.txt is no template; those are sign-in-link.txt, sign-in-link.html, announcement.txt, announcement.html.
        - mail/sign-in-link.txt, line 1: only Subject:, Reminder:, Language: and Button: may stand before the first empty line.
        - mail/sign-in-link.txt, line 1: it has to begin with a line "Subject: …".
        - mail/sign-in-link.txt, line 3: {{firstName}} has to follow a word and a space, because not everybody has a first name.
        - mail/sign-in-link.txt, line 3: {{lnk}} is no placeholder of this mail; those are {{firstName}}, {{appName}}, {{signInUrl}}, {{link}}, {{expires}}.
        - mail/sign-in-link.txt, line 4: a placeholder is not closed, or has too many braces.
        - mail/sign-in-link.txt: {{link}} is missing.
        - mail/sign-in-link.html: {{link}} is missing.
        - mail/announcement.html needs announcement.txt beside it: every mail has a text."
    `);
  });

  test("may not put a sign-in link into an announcement", async () => {
    const message = await load({
      "announcement.txt": "Subject: Hi\n\n{{link}} {{signInUrl}}",
    }).then(() => "taken", messageOf);
    expect(message).toContain("announcement.txt, line 3: {{link}} is no placeholder of this mail");
  });

  test("have to be where the setting says", () => {
    expect(() => loadTemplates(join(directory, "nowhere"))).toThrow("nowhere does not exist.");
  });
});
