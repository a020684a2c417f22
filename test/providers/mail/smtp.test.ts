import { afterEach, describe, expect, test } from "vitest";

import { messageOf } from "../../../providers/errors";
import { type Mail, messageIdOf } from "../../../providers/mail/message";
import { explainOutcome } from "../../../providers/mail/outcome";
import { openSmtp, parseSmtpUrl, type Smtp, type SmtpOptions } from "../../../providers/mail/smtp";
import {
  type LocalSmtp,
  type SmtpFault,
  type SmtpOptions as LocalOptions,
  startSmtp,
} from "../../../sandbox/smtp";

let local: LocalSmtp;
let smtp: Smtp;
afterEach(async () => {
  smtp.close();
  await local.stop();
});

async function open(options: LocalOptions & Partial<SmtpOptions> = {}): Promise<Smtp> {
  local = await startSmtp(options);
  smtp = openSmtp({ url: local.url, timeoutMs: 300, ...options });
  return smtp;
}

const from = "Ampdial <hello@ampdial.example>";
const mail: Mail = {
  to: "sarah@example.com",
  from,
  replyTo: "help@ampdial.example",
  subject: "Grüße an Ñandú",
  text: "Hello Sarah,\n\n.\na line that is a dot",
  html: "<html><body><p>Hello Sarah</p></body></html>",
  messageId: messageIdOf(["p/dev", "user-1", "1"], from),
};

describe("a mail that arrives", () => {
  test("has both bodies, its headers and the Message-ID of its parts", async () => {
    const { sendMail } = await open();
    expect(await sendMail(mail)).toEqual({ outcome: "accepted" });
    const [received] = local.mails;
    expect(received).toMatchObject({ from: "hello@ampdial.example", to: ["sarah@example.com"] });
    expect(received?.content).toMatchObject({ subject: mail.subject, messageId: mail.messageId });
    expect(received?.content.text?.trim()).toBe(mail.text);
    expect(received?.content.html?.trim()).toBe(mail.html);
    expect(received?.content.replyTo).toMatchObject([{ address: "help@ampdial.example" }]);
    expect(received?.raw).toMatch(/^Auto-Submitted: auto-generated\r?$/m);
    expect(received?.raw).toMatch(/^X-Entity-Ref-ID: [0-9a-f]{40}\r?$/m);
  });

  test("shares a connection with those before it", async () => {
    const { sendMail } = await open({ connections: 1 });
    for (const user of ["1", "2", "3"])
      await sendMail({ ...mail, messageId: messageIdOf(["p/dev", user], from) });
    expect(local.mails).toHaveLength(3);
    expect(local.connectionCount()).toBe(1);
  });

  test("goes to one address in a rehearsal and names the real one masked", async () => {
    const { sendMail } = await open({ redirectAllMailTo: "me@ampdial.example" });
    await sendMail(mail);
    const [received] = local.mails;
    expect(received?.to).toEqual(["me@ampdial.example"]);
    expect(received?.content.subject).toBe("[Rehearsal] Grüße an Ñandú");
    expect(received?.content.text).toContain("this mail would have gone to s***h@example.com.");
    expect(received?.content.html).toContain("<body><p style=");
    expect(received?.raw).not.toContain("sarah@");
  });

  test.each([
    "sarah@example.com, eve@example.com",
    "Eve <eve@example.com>",
    "sarah@example.com\r\neve@example.com",
    "",
  ])("goes to one address alone, never to %j", async (to) => {
    const { sendMail } = await open();
    expect(await sendMail({ ...mail, to })).toMatchObject({ outcome: "refused", stage: "recipient" });
    expect(local.connectionCount()).toBe(0);
  });

  test("may follow a login", async () => {
    const { sendMail } = await open({ login: { user: "a@b", password: "p:/?%" } });
    expect(await sendMail(mail)).toEqual({ outcome: "accepted" });
  });

  test("is sent again where a kept connection had been closed before a byte of it went out", async () => {
    const { sendMail } = await open({ connections: 1 });
    await sendMail(mail);
    local.fail({ on: "sender", effect: { type: "cut" } });
    expect(await sendMail({ ...mail, messageId: messageIdOf(["2"], from) })).toEqual({ outcome: "accepted" });
    expect(local.mails).toHaveLength(2);
    expect(local.connectionCount()).toBe(2);
  });
});

const reply = (on: SmtpFault["on"], code: number): SmtpFault => ({ on, effect: { type: "reply", code } });
const cut = (on: SmtpFault["on"]): SmtpFault => ({ on, effect: { type: "cut" }, times: 9 });
const hang = (on: SmtpFault["on"]): SmtpFault => ({ on, effect: { type: "hang" }, times: 9 });

describe("what becomes of a mail when the server", () => {
  test.each([
    ["turns us away", reply("connection", 554), "refused", "connection", "554"],
    ["is too busy to talk", reply("connection", 421), "deferred", "connection", "421"],
    ["refuses the sender", reply("sender", 553), "refused", "sender", "553"],
    ["refuses the recipient", reply("recipient", 550), "refused", "recipient", "550"],
    ["defers the recipient", reply("recipient", 451), "deferred", "recipient", "451"],
    ["refuses the message", reply("message", 554), "refused", "message", "554"],
    ["defers the message", reply("message", 452), "deferred", "message", "452"],
    ["cuts at once", cut("connection"), "deferred", "connection", null],
    ["cuts at the sender", cut("sender"), "deferred", "conversation", null],
    ["cuts at the recipient", cut("recipient"), "deferred", "conversation", null],
    ["never greets", hang("connection"), "deferred", "connection", null],
    ["never answers to the recipient", hang("recipient"), "deferred", "conversation", null],
    ["cuts within the message", cut("data"), "unknown", "message", null],
    ["cuts after the message", cut("message"), "unknown", "message", null],
    ["never answers to the message", hang("message"), "unknown", "message", null],
    ["closes the service instead of taking the message", reply("message", 421), "deferred", "message", "421"],
  ])("%s", async (_, fault, outcome, stage, code) => {
    const { sendMail } = await open();
    local.fail(fault);
    const found = await sendMail(mail);
    expect(found).toEqual({ outcome, stage, reply: code });
    const sentence = JSON.stringify(explainOutcome(found));
    expect(sentence).not.toContain("sarah");
    expect(sentence).toContain(outcome === "unknown" ? "Nobody knows" : "it was not sent");
    // Never twice, and nothing where we say so.
    expect(local.mails.length).toBe(
      ["cut", "hang"].includes(fault.effect.type) && fault.on === "message" ? 1 : 0,
    );
  });

  test("answers late", async () => {
    const { sendMail } = await open();
    local.fail({ on: "message", effect: { type: "delay", ms: 100 } });
    expect(await sendMail(mail)).toEqual({ outcome: "accepted" });
  });

  test("does not take the login", async () => {
    const login = { user: "app", password: "right" };
    const { sendMail } = await open({ login });
    smtp.close();
    const url = local.url.replace("right", "wrong");
    expect(await openSmtp({ url, timeoutMs: 300 }).sendMail(mail)).toEqual({
      outcome: "refused",
      stage: "login",
      reply: "535",
    });
    expect(await sendMail(mail)).toMatchObject({ outcome: "deferred" });
  });

  test("is not there", async () => {
    const { sendMail } = await open();
    await local.stop();
    expect(await sendMail(mail)).toEqual({ outcome: "deferred", stage: "connection", reply: null });
  });

  test("offers no login: the mail is not sent without one", async () => {
    await open();
    const url = `smtp://app:secret@127.0.0.1:${local.port.toString()}`;
    expect(await openSmtp({ url, timeoutMs: 300 }).sendMail(mail)).toMatchObject({
      outcome: "refused",
      stage: "login",
    });
    expect(local.mails).toEqual([]);
  });

  test("is elsewhere and offers no STARTTLS: neither password nor mail goes out in the clear", async () => {
    await open({ login: { user: "app", password: "secret" } });
    // This machine by an address that is not known as its own.
    const url = `smtp://app:secret@[::ffff:127.0.0.1]:${local.port.toString()}`;
    const found = await openSmtp({ url, timeoutMs: 300 }).sendMail(mail);
    expect(found).toMatchObject({ stage: "connection" });
    expect(["refused", "deferred"]).toContain(found.outcome);
    expect(local.mails).toEqual([]);
  });
});

describe("SMTP_URL", () => {
  const refused = async (url: string) => {
    await open();
    return Promise.resolve()
      .then(() => parseSmtpUrl(url))
      .then(() => "taken", messageOf);
  };
  test.each([
    "smtp.example.com",
    "https://smtp.example.com",
    "smtps://a:s3cret%@smtp.example.com",
    "smtps://a:s3cret@smtp.example.com?tls.rejectUnauthorized=false",
  ])("refuses %s and repeats nothing of it", async (url) => {
    const sentence = await refused(url);
    expect(sentence).toContain("SMTP_URL is not the address of a mail server.");
    expect(sentence).not.toContain("s3cret");
  });

  test("asks every other machine for TLS", async () => {
    await open();
    expect(parseSmtpUrl("smtp://a:b@smtp.example.com")).toMatchObject({ requireTLS: true, port: 587 });
    expect(parseSmtpUrl("smtps://a:b@smtp.example.com")).toMatchObject({ secure: true, port: 465 });
  });
});
