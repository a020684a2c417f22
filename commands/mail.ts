import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

import { MigrationError } from "../providers/errors";
import { isOneAddress, messageIdOf } from "../providers/mail/message";
import { describeOutcome } from "../providers/mail/outcome";
import { type MailSettings, parseMailSettings } from "../providers/mail/settings";
import { openSmtp } from "../providers/mail/smtp";
import { loadTemplates } from "../providers/mail/template-files";
import { mailKinds, type MailValues, renderMail } from "../providers/mail/templates";
import { loadDotEnv } from "../providers/settings";
import { command } from "./command";

const WEEK_MS = 7 * 24 * 3600 * 1000;

/**
 * `npm run mail -- --to me@example.com`: one example of a mail to users, to yourself; with `--print` or `--html` on
 * screen instead. Its link leads nowhere.
 */
void command(async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      to: { type: "string" },
      template: { type: "string", default: "sign-in-link" },
      "first-name": { type: "string" },
      print: { type: "boolean" },
      html: { type: "boolean" },
    },
  });
  loadDotEnv();
  const settings = parseMailSettings(process.env);
  const example = exampleOf(values.template, values["first-name"] ?? null, settings);
  const content = renderMail(loadTemplates(settings.templates), example);
  if (values.html || values.print) {
    process.stdout.write(values.html ? content.html : `Subject: ${content.subject}\n\n${content.text}`);
    return 0;
  }
  const { to = "" } = values;
  if (!isOneAddress(to))
    throw new MigrationError(
      "mail-to",
      "--to has to be one address.",
      "Say where to: --to you@example.com, or --print.",
    );
  const smtp = openSmtp({ url: process.env.SMTP_URL ?? "", redirectAllMailTo: settings.redirectAllMailTo });
  try {
    const { from, replyTo } = settings;
    const messageId = messageIdOf(["example", randomUUID()], from);
    const outcome = await smtp.sendMail({ ...content, to, from, replyTo, messageId });
    process.stdout.write(`${describeOutcome(outcome)}\n`);
    return outcome.outcome === "accepted" ? 0 : 1;
  } finally {
    smtp.close();
  }
});

function exampleOf(template: string, firstName: string | null, settings: MailSettings): MailValues {
  const kind = mailKinds.find((known) => known === template);
  if (kind === undefined)
    throw new MigrationError(
      "mail-template",
      "There is no such mail.",
      `--template is ${mailKinds.join(" or ")}.`,
    );
  const { appName, signInUrl } = settings;
  const common = { firstName, appName, signInUrl: signInUrl ?? "https://example.com/sign-in" };
  return kind === "announcement"
    ? { ...common, kind }
    : {
        ...common,
        kind,
        link: "https://example.com/this-is-an-example-and-signs-nobody-in",
        expires: new Date(Date.now() + WEEK_MS),
      };
}
