import { z } from "zod";

import { MigrationError } from "../errors";
import { addressOf, isOneAddress } from "./message";

const sender = (name: string) =>
  z
    .string(
      `${name} is not set: it is what the mails come from, e.g. Your App <hello@example.com>. Set it in the environment or in .env.`,
    )
    .refine(
      (text) => isOneAddress(addressOf(text)) && !/[\r\n]/.test(text),
      `${name} is not an address: it should look like Your App <hello@example.com>.`,
    );

const webAddress = (name: string) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
      `${name} is not a web address: it should look like https://app.example.com/sign-in.`,
    );

const schema = z.object({
  MAIL_FROM: sender("MAIL_FROM"),
  MAIL_REPLY_TO: sender("MAIL_REPLY_TO").nullable(),
  MAIL_TEMPLATES: z.string().nullable(),
  MAIL_REDIRECT_ALL_TO: z
    .string()
    .refine(isOneAddress, "MAIL_REDIRECT_ALL_TO has to be one address, without a name.")
    .nullable(),
  APP_NAME: z.string(
    "APP_NAME is not set: it is what the mails call your application. Set it in the environment or in .env.",
  ),
  SIGN_IN_URL: webAddress("SIGN_IN_URL").nullable(),
});

export interface MailSettings {
  readonly from: string;
  readonly replyTo: string | null;
  /** Where templates lie; null: the defaults. */
  readonly templates: string | null;
  readonly redirectAllMailTo: string | null;
  readonly appName: string;
  readonly signInUrl: string | null;
}

/** Throws one error that lists every problem. Empty means unset. */
export function parseMailSettings(environment: Readonly<Record<string, string | undefined>>): MailSettings {
  const given = (name: string) => environment[name]?.trim() || undefined;
  const optional = ["MAIL_REPLY_TO", "MAIL_TEMPLATES", "MAIL_REDIRECT_ALL_TO", "SIGN_IN_URL"];
  const raw = Object.fromEntries(
    Object.keys(schema.shape).map((name) => [
      name,
      given(name) ?? (optional.includes(name) ? null : undefined),
    ]),
  );
  const result = schema.safeParse(raw);
  if (!result.success)
    throw new MigrationError(
      "mail-settings",
      "The settings of the mails need your attention:",
      `\n${result.error.issues.map(({ message }) => `  - ${message}`).join("\n")}`,
    );
  const { data } = result;
  return {
    from: data.MAIL_FROM,
    replyTo: data.MAIL_REPLY_TO,
    templates: data.MAIL_TEMPLATES,
    redirectAllMailTo: data.MAIL_REDIRECT_ALL_TO,
    appName: data.APP_NAME,
    signInUrl: data.SIGN_IN_URL,
  };
}
