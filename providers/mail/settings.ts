import { z } from "zod";

import { count, list } from "../setting-kinds";
import { addressOf, isOneAddress } from "./message";

const sender = (name: string) =>
  z
    .string()
    .refine(
      (text) => isOneAddress(addressOf(text)) && !/[\r\n]/.test(text),
      `${name} is not an address: it should look like Your App <hello@example.com>. Correct it.`,
    );

/** How mails go out. All of it is needed only where the mails are our own. */
export const mailShape = {
  smtpUrl: z.string().optional(),
  mailFrom: sender("MAIL_FROM").optional(),
  mailReplyTo: sender("MAIL_REPLY_TO").optional(),
  /** The directory of templates; the defaults without one. */
  mailTemplates: z.string().optional(),
  appName: z.string().optional(),
  redirectAllMailTo: z
    .string()
    .refine(isOneAddress, "redirectAllMailTo has to be one address, without a name. Correct it.")
    .optional(),
  linkExpiresInDays: count("linkExpiresInDays")
    .refine(
      (days) => days >= 1 && days <= 365,
      "linkExpiresInDays has to be from 1 to 365. Correct it with `pulumi config set linkExpiresInDays …`.",
    )
    .default(14),
};

export type MailSettings = z.infer<z.ZodObject<typeof mailShape>>;

/** How fast, and when again. */
export const paceShape = {
  invitationsPerHour: count("invitationsPerHour").default(0),
  mailsPerHour: count("mailsPerHour").default(100),
  mailsPerDay: count("mailsPerDay").default(1000),
  mailWarmUp: list
    .refine((days) => days.every((day) => /^[1-9]\d{0,6}$/.test(day)), {
      error: "mailWarmUp has to be numbers of mails, one for each day, e.g. 50 100 200 400. Correct it.",
    })
    .transform((days) => days.map(Number)),
  remindAfterDays: count("remindAfterDays").default(0),
  maxReminders: count("maxReminders").default(1),
};

interface Chosen extends MailSettings {
  readonly notify: string;
  readonly clerkInviteRedirectUrl?: string | undefined;
  readonly clerkSecretKey: string;
  readonly rehearseOnProduction: boolean;
}

/** What is missing, or does not go together. */
export function mailProblems(settings: Chosen): string[] {
  const { notify, redirectAllMailTo } = settings;
  if (notify === "invitation" || notify === "none")
    return redirectAllMailTo !== undefined && notify === "invitation"
      ? [
          "redirectAllMailTo cannot redirect invitations, because Clerk sends those. Set notify to sign-in-link, announcement or none, or remove redirectAllMailTo.",
        ]
      : [];
  const needed = [
    [
      "SMTP_URL",
      settings.smtpUrl,
      "which mail server sends them, e.g. smtps://user:password@smtp.example.com:465",
    ],
    ["MAIL_FROM", settings.mailFrom, "whom they come from, e.g. Your App <hello@example.com>"],
    ["APP_NAME", settings.appName, "what they call your application"],
    [
      "CLERK_INVITE_REDIRECT_URL",
      settings.clerkInviteRedirectUrl,
      "the page with <SignIn/> that they lead to",
    ],
  ] as const;
  const isLive = settings.clerkSecretKey.startsWith("sk_live_");
  return [
    ...needed
      .filter(([, value]) => value === undefined)
      .map(
        ([name, , meaning]) =>
          `${name} is not set, and notify is ${notify}: mails of our own need it (${meaning}). Set it in the environment or in .env.`,
      ),
    ...(isLive && redirectAllMailTo !== undefined && !settings.rehearseOnProduction
      ? [
          "redirectAllMailTo is set together with a live key: users would be migrated, and nobody told. If that is meant, run `pulumi config set rehearseOnProduction true` as well.",
        ]
      : []),
  ];
}
