import { createHash } from "node:crypto";

import { maskedEmail } from "../clerk-user/inputs";
import { escapeHtml } from "./html";

/** What a mail says, whoever it goes to. */
export interface MailContent {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface Mail extends MailContent {
  /** One address, without a name. */
  readonly to: string;
  /** `App <app@example.com>`, or the address alone. */
  readonly from: string;
  readonly replyTo: string | null;
  /** See `messageIdOf`. */
  readonly messageId: string;
}

/**
 * The same parts, the same Message-ID: a mailbox can then tell a mail that was sent twice after an unknown outcome.
 * The parts cannot be read out of it.
 */
export function messageIdOf(parts: readonly string[], from: string): string {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40);
  return `<${digest}@${domainOf(from)}>`;
}

/** The address of `App <app@example.com>`. */
export function addressOf(from: string): string {
  return /<([^<>]*)>\s*$/.exec(from)?.[1]?.trim() ?? from.trim();
}

/** A list, or an address with a name, would reach whom nobody meant. */
export function isOneAddress(text: string): boolean {
  return /^[^\s,;:<>()[\]"\\@]+@[^\s,;:<>()[\]"\\@]+$/u.test(text);
}

function domainOf(from: string): string {
  const address = addressOf(from);
  return address.slice(address.lastIndexOf("@") + 1).toLowerCase();
}

/** The mail as a rehearsal sends it: to one address, saying whom it would have gone to. */
export function redirected(mail: Mail, address: string): Mail {
  const notice = `Rehearsal: this mail would have gone to ${maskedEmail(mail.to)}.`;
  const banner = `<p style="margin:0;padding:12px;background:#fff3bf;color:#3d2f00;font:14px sans-serif">${escapeHtml(notice)}</p>`;
  const body = /<body[^>]*>/i.exec(mail.html);
  const start = body === null ? 0 : body.index + body[0].length;
  return {
    ...mail,
    to: address,
    subject: `[Rehearsal] ${mail.subject}`,
    text: `${notice}\n\n${mail.text}`,
    html: `${mail.html.slice(0, start)}${banner}${mail.html.slice(start)}`,
  };
}
