import type { Readable } from "node:stream";

import { createTransport } from "nodemailer";

import { MigrationError } from "../errors";
import { addressOf, isOneAddress, type Mail, redirected } from "./message";
import { type MailOutcome, outcomeOf, type Progress } from "./outcome";

export interface SmtpOptions {
  /** `smtp://` or `smtps://user:password@host:port`. */
  readonly url: string;
  /** A rehearsal: everything goes to this address, and to nobody else. */
  readonly redirectAllMailTo?: string | null;
  /** Sent at the same time. @default 4 */
  readonly connections?: number;
  /** How long the server may say nothing. @default 60,000 */
  readonly timeoutMs?: number;
}

export type Smtp = ReturnType<typeof openSmtp>;

/** Servers close a connection after some minutes of silence; we are quicker. */
const IDLE_MS = 30_000;

/**
 * A way out for mails, over connections that are kept. `sendMail` throws nothing that the server caused: what became
 * of the mail is its answer.
 */
export function openSmtp(options: SmtpOptions) {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const transport = createTransport({
    ...parseSmtpUrl(options.url),
    pool: true,
    maxConnections: options.connections ?? 4,
    // Repeats only what nobody has read a byte of, see below.
    maxRequeues: 2,
    idleTimeout: IDLE_MS,
    dnsTimeout: timeoutMs,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    // A template must not make us read files or addresses.
    disableFileAccess: true,
    disableUrlAccess: true,
  });

  // nodemailer does not say whether a connection was lost before a mail, within it or within its message: see `progressOf`.
  const messages = new Map<string, Readable[]>();
  transport.use("stream", (prepared, done) => {
    prepared.message.processFunc((message: Readable) => {
      const attempts = messages.get(prepared.message.messageId()) ?? [];
      if (attempts.some(isBegun))
        message.destroy(new Error("A message that may have arrived is not repeated."));
      attempts.push(message);
      return message;
    });
    done();
  });

  /** Sends it once. Two mails with one Message-ID must not be under way at the same time. */
  async function sendMail(given: Mail): Promise<MailOutcome> {
    const to = options.redirectAllMailTo;
    const mail = to == null ? given : redirected(given, to);
    if (!isOneAddress(mail.to)) return { outcome: "refused", stage: "recipient", reply: null };
    const attempts: Readable[] = [];
    messages.set(mail.messageId, attempts);
    try {
      await transport.sendMail({
        envelope: { from: addressOf(mail.from), to: [mail.to] },
        to: { name: "", address: mail.to },
        from: mail.from,
        ...(mail.replyTo === null ? {} : { replyTo: mail.replyTo }),
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        messageId: mail.messageId,
        headers: {
          "Auto-Submitted": "auto-generated",
          // Keeps Gmail from folding mails of the same subject into one thread.
          "X-Entity-Ref-ID": mail.messageId.replace(/^<|@.*$/g, ""),
        },
      });
      return { outcome: "accepted" };
    } catch (error) {
      return outcomeOf(error, progressOf(attempts));
    } finally {
      messages.delete(mail.messageId);
    }
  }

  return {
    sendMail,

    /** Connects and logs in, as a mail would, and sends nothing. */
    async check(): Promise<MailOutcome> {
      try {
        await transport.verify();
        return { outcome: "accepted" };
      } catch (error) {
        return outcomeOf(error, "nothing");
      }
    },

    /** Mails that are still under way are cut off. */
    close(): void {
      transport.close();
    },
  };
}

/** nodemailer makes the message once it is connected and logged in, and reads it once the server has agreed to DATA. */
function progressOf(attempts: readonly Readable[]): Progress {
  if (attempts.some(isBegun)) return "begun";
  return attempts.length > 0 ? "connected" : "nothing";
}

function isBegun(message: Readable): boolean {
  return message.readableDidRead;
}

/** Also keeps passwords and sign-in links from being sent in the clear, unless it is to this very machine. */
export function parseSmtpUrl(text: string) {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const login = url === undefined ? undefined : loginOf(url);
  if (
    url === undefined ||
    login === undefined ||
    !/^smtps?:$/.test(url.protocol) ||
    url.hostname === "" ||
    url.search !== ""
  )
    throw new MigrationError(
      "smtp-url",
      "SMTP_URL is not the address of a mail server.",
      "It should look like smtps://user:password@smtp.example.com:465 or, with STARTTLS, smtp://user:password@smtp.example.com:587, with nothing behind the port. Percent-encode special characters in the password.",
    );
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const secure = url.protocol === "smtps:";
  const isLocal = /^(localhost|127(\.\d+){3}|::1)$/.test(host);
  return {
    host,
    port: url.port === "" ? (secure ? 465 : 587) : Number(url.port),
    secure,
    // Without STARTTLS on the server nothing is sent, the password included.
    requireTLS: !secure && !isLocal,
    // A relay on this machine often has a certificate that nobody signed.
    ...(isLocal ? { tls: { rejectUnauthorized: false } } : {}),
    // Otherwise a server that offers no login would be sent the mail without one.
    ...(login.user === "" ? {} : { auth: login, forceAuth: true }),
  };
}

/** undefined where a % is not followed by two digits. */
function loginOf({ username, password }: URL): { user: string; pass: string } | undefined {
  try {
    return { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  } catch {
    return undefined;
  }
}
