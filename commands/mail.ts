import { randomUUID } from "node:crypto";

import { MigrationError } from "../providers/errors";
import { type Letter, openMailer } from "../providers/mail/mailer";
import { isOneAddress } from "../providers/mail/message";
import { explainOutcome } from "../providers/mail/outcome";
import { loadTemplates } from "../providers/mail/template-files";
import { mailKinds, renderMail } from "../providers/mail/templates";
import type { Settings } from "../providers/settings";
import { command } from "./command";
import { settingsOfStack, stackFlags } from "./settings";

const DAY_MS = 24 * 3600 * 1000;

/**
 * `npm run mail -- --to me@example.com`: one example of a mail to users, to yourself; with `--print` or `--html` on
 * screen instead. Its link leads nowhere.
 */
const mail = {
  usage: "npm run mail",
  says: "Sends you an example of the mail to users, or shows it.",
  flags: {
    ...stackFlags,
    to: { type: "string", value: "address", says: "where to" },
    template: { type: "string", value: "mail", says: mailKinds.join(" or ") },
    "first-name": { type: "string", value: "name", says: "how it addresses you" },
    reminder: { type: "boolean", says: "the reminder" },
    print: { type: "boolean", says: "shows its text instead" },
    html: { type: "boolean", says: "shows its HTML instead" },
  },
} as const;

void command(mail, async (values) => {
  const { settings } = await settingsOfStack(values);
  const isReminder = values.reminder === true;
  const example = exampleOf(values.template, values["first-name"] ?? null, settings);
  if (values.html || values.print) {
    const all = { ...example, appName: settings.appName ?? "Your App" };
    const content = renderMail(loadTemplates(settings.mailTemplates ?? null), all, isReminder);
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
  const mailer = openMailer(settings);
  try {
    const outcome = await mailer.send({ to, id: ["example", randomUUID()], isReminder, values: example });
    const { reason, remedy } = explainOutcome(outcome);
    process.stdout.write(`${[reason, remedy].join(" ").trim()}\n`);
    return outcome.outcome === "accepted" ? 0 : 1;
  } finally {
    mailer.close();
  }
});

function exampleOf(
  template: string | undefined,
  firstName: string | null,
  settings: Settings,
): Letter["values"] {
  const wanted = template ?? (settings.notify === "announcement" ? "announcement" : "sign-in-link");
  const kind = mailKinds.find((known) => known === wanted);
  if (kind === undefined)
    throw new MigrationError(
      "mail-template",
      "There is no such mail.",
      `--template is ${mailKinds.join(" or ")}.`,
    );
  const common = { firstName, signInUrl: settings.clerkInviteRedirectUrl ?? "https://example.com/sign-in" };
  return kind === "announcement"
    ? { ...common, kind }
    : {
        ...common,
        kind,
        link: "https://example.com/this-is-an-example-and-signs-nobody-in",
        expires: new Date(Date.now() + settings.linkExpiresInDays * DAY_MS),
      };
}
