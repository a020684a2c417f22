import { MigrationError } from "../errors";
import { messageIdOf } from "./message";
import { isOutage, type MailOutcome } from "./outcome";
import type { MailSettings } from "./settings";
import { openSmtp } from "./smtp";
import { loadTemplates } from "./template-files";
import { type MailValues, renderMail } from "./templates";

/** A union's members each without the field. */
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export interface Letter {
  /** One address. */
  readonly to: string;
  /** The same parts, the same Message-ID. */
  readonly id: readonly string[];
  readonly isReminder: boolean;
  readonly values: Without<MailValues, "appName">;
}

export interface Mailer {
  /** Everything goes to one address, and tells nobody. */
  readonly isRehearsal: boolean;
  /** Throws nothing that the server caused: what became of the mail is the answer. */
  send(letter: Letter): Promise<MailOutcome>;
  /** Connects and logs in, without sending anything. */
  check(): Promise<MailOutcome>;
  close(): void;
}

/** Throws where a setting is missing, or a template is wrong. */
export function openMailer(settings: MailSettings, timeoutMs?: number): Mailer {
  const { smtpUrl, mailFrom: from, appName, mailReplyTo, redirectAllMailTo, mailTemplates } = settings;
  if (smtpUrl === undefined || from === undefined || appName === undefined)
    throw new MigrationError(
      "mail-settings",
      "Mails of our own need a mail server, a sender and the name of the application.",
      "Set SMTP_URL, MAIL_FROM and APP_NAME.",
    );
  const templates = loadTemplates(mailTemplates ?? null);
  const smtp = openSmtp({
    url: smtpUrl,
    redirectAllMailTo: redirectAllMailTo ?? null,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  let outage: MailOutcome | undefined;
  return {
    isRehearsal: redirectAllMailTo !== undefined,
    async send({ to, id, isReminder, values }) {
      if (outage !== undefined) return outage;
      const content = renderMail(templates, { ...values, appName }, isReminder);
      const messageId = messageIdOf(id, from);
      const outcome = await smtp.sendMail({ ...content, to, from, replyTo: mailReplyTo ?? null, messageId });
      if (isOutage(outcome)) outage = outcome;
      return outcome;
    },
    check: () => smtp.check(),
    close: () => {
      smtp.close();
    },
  };
}
