import { type MailKind, type MailTemplate, parseTemplate } from "./templates";

/** In the form of the files that may replace them. */
export const defaultTexts: Readonly<Record<MailKind, string>> = {
  "sign-in-link": `Subject: Your sign-in link for {{appName}}
Reminder: Reminder: your sign-in link for {{appName}}

Hello {{firstName}},

{{appName}} has a new sign-in. Your account has moved there, with everything in it. This link signs you in:

{{link}}

It works once, until {{expires}}. There is no hurry: you can also sign in later, or without the link, at {{signInUrl}}.

Please keep this mail to yourself, because whoever has the link can sign in as you. If you no longer use {{appName}}, you need not do anything.
`,
  announcement: `Subject: {{appName}} has a new sign-in
Reminder: Reminder: {{appName}} has a new sign-in

Hello {{firstName}},

{{appName}} has a new sign-in. Your account has moved there, with everything in it. You need not do anything: you can go on signing in with your password at

{{signInUrl}}

We never ask for your password by mail.
`,
};

/** The default of one kind. */
export function defaultTemplate(kind: MailKind): MailTemplate {
  return parseTemplate(kind, { name: `${kind}.txt`, content: defaultTexts[kind] }, null).template;
}

/** What is sent unless a file says otherwise. */
export const defaultTemplates = {
  "sign-in-link": defaultTemplate("sign-in-link"),
  announcement: defaultTemplate("announcement"),
} as const satisfies Record<MailKind, MailTemplate>;
