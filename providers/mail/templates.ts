import { escapeHtml } from "./html";
import type { MailContent } from "./message";
import { htmlFrame } from "./text-to-html";

export const mailKinds = ["sign-in-link", "announcement"] as const;
export type MailKind = (typeof mailKinds)[number];

interface CommonValues {
  readonly firstName: string | null;
  readonly appName: string;
  readonly signInUrl: string;
}

/** An announcement has no place for a credential. */
export type MailValues =
  | (CommonValues & { readonly kind: "announcement" })
  | (CommonValues & { readonly kind: "sign-in-link"; readonly link: string; readonly expires: Date });

export interface MailTemplate {
  readonly subject: string;
  /** Of a reminder, which says the same otherwise. */
  readonly reminderSubject: string;
  /** BCP 47; also how dates are written. */
  readonly language: string;
  readonly text: string;
  readonly html: string;
}

export type MailTemplates = Readonly<Record<MailKind, MailTemplate>>;

/** A file as it was read; `name` is what problems call it. */
export interface TemplateSource {
  readonly name: string;
  readonly content: string;
}

interface Placeholders {
  readonly known: readonly string[];
  readonly mandatory: readonly string[];
}

const placeholders: Readonly<Record<MailKind, Placeholders>> = {
  "sign-in-link": {
    known: ["firstName", "appName", "signInUrl", "link", "expires"],
    mandatory: ["link"],
  },
  announcement: { known: ["firstName", "appName", "signInUrl"], mandatory: ["signInUrl"] },
};

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;

/** The `.txt` with its head, and the `.html` where there is one; otherwise it is made from the text. */
export function parseTemplate(
  kind: MailKind,
  text: TemplateSource,
  html: TemplateSource | null,
): { readonly template: MailTemplate; readonly problems: readonly string[] } {
  const head = readHead(text);
  const { subject = "", reminder = subject, language = "en", button = "Sign in" } = head.fields;
  const template: MailTemplate = {
    subject,
    reminderSubject: reminder,
    language,
    text: head.body,
    html: html?.content ?? htmlFrame(head.body, { title: subject, language, button }),
  };
  return {
    template,
    problems: [
      ...head.problems,
      ...placeholderProblems(kind, text),
      ...missing(kind, text.name, head.body),
      ...(html === null
        ? []
        : [...placeholderProblems(kind, html), ...missing(kind, html.name, html.content)]),
    ],
  };
}

/** The mail for one user. */
export function renderMail(templates: MailTemplates, given: MailValues, isReminder = false): MailContent {
  const { subject, reminderSubject, language, text, html } = templates[given.kind];
  const values: Readonly<Record<string, string>> = {
    appName: given.appName,
    signInUrl: given.signInUrl,
    firstName: greetable(given.firstName),
    ...(given.kind === "sign-in-link"
      ? { link: given.link, expires: dateText(given.expires, language) }
      : {}),
  };
  return {
    subject: fill(isReminder ? reminderSubject : subject, values, (value) => value),
    text: fill(text, values, (value) => value),
    html: fill(html, values, escapeHtml),
  };
}

/** In one pass, so that a value with braces stays what it is. What is empty goes with the space before it. */
function fill(
  template: string,
  values: Readonly<Record<string, string>>,
  escape: (text: string) => string,
): string {
  return template.replace(/( ?)\{\{([^{}]*)\}\}/g, (_, space: string, name: string) => {
    const value = values[name.trim()] ?? "";
    return value === "" ? "" : `${space}${escape(value)}`;
  });
}

/** Mail programs make links of what looks like one: nobody greets people by an advertisement in our name. */
function greetable(firstName: string | null): string {
  const name = (firstName ?? "").replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  return name.length > 60 || /\/\/|@|\.[\p{L}\d]{2,}/u.test(name) ? "" : name;
}

function dateText(date: Date, language: string): string {
  return new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
    dateStyle: "full",
    timeStyle: "short",
    timeZone: "UTC",
  })
    .format(date)
    .concat(" UTC");
}

interface Head {
  readonly fields: {
    readonly subject?: string;
    readonly reminder?: string;
    readonly language?: string;
    readonly button?: string;
  };
  readonly body: string;
  readonly problems: readonly string[];
}

/** `Subject: …`, and perhaps `Reminder: …`, `Language: …` and `Button: …`, before the first empty line. */
function readHead({ name, content }: TemplateSource): Head {
  const lines = content.replace(/^\uFEFF/, "").split(/\r?\n/);
  const end = lines.findIndex((line) => line.trim() === "");
  const fields: Record<string, string> = {};
  const problems: string[] = [];
  for (const [index, line] of lines.slice(0, end === -1 ? undefined : end).entries()) {
    const [, field = "", value = ""] = /^(Subject|Reminder|Language|Button):\s*(.*\S)\s*$/i.exec(line) ?? [];
    if (field === "")
      problems.push(
        `${name}, line ${(index + 1).toString()}: only Subject:, Reminder:, Language: and Button: may stand before the first empty line.`,
      );
    else fields[field.toLowerCase()] = value;
  }
  const { subject, reminder, language, button } = fields;
  if (subject === undefined) problems.push(`${name}, line 1: it has to begin with a line "Subject: …".`);
  const isLanguage = language === undefined || isLanguageTag(language);
  if (!isLanguage) problems.push(`${name}: Language: has to be a language tag, e.g. en or de.`);
  return {
    fields: {
      ...(subject === undefined ? {} : { subject }),
      ...(reminder === undefined ? {} : { reminder }),
      ...(language === undefined || !isLanguage ? {} : { language }),
      ...(button === undefined ? {} : { button }),
    },
    body: `${lines
      .slice(end === -1 ? lines.length : end)
      .join("\n")
      .trim()}\n`,
    problems,
  };
}

function isLanguageTag(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text).length === 1;
  } catch {
    return false;
  }
}

function placeholderProblems(kind: MailKind, { name, content }: TemplateSource): string[] {
  const { known } = placeholders[kind];
  return content.split(/\r?\n/).flatMap((line, index) => {
    const at = `${name}, line ${(index + 1).toString()}`;
    const found = [...line.matchAll(PLACEHOLDER)].flatMap((match) => {
      const key = (match[1] ?? "").trim();
      if (!known.includes(key))
        return [
          `${at}: {{${key}}} is no placeholder of this mail; those are ${known.map((one) => `{{${one}}}`).join(", ")}.`,
        ];
      // Whoever has no first name is greeted "Hello,": the name goes with the space before it.
      if (key === "firstName" && line[match.index - 1] !== " ")
        return [
          `${at}: {{firstName}} has to follow a word and a space, because not everybody has a first name.`,
        ];
      return [];
    });
    const rest = line.replace(PLACEHOLDER, "");
    return /\{\{|\}\}/.test(rest)
      ? [...found, `${at}: a placeholder is not closed, or has too many braces.`]
      : found;
  });
}

function missing(kind: MailKind, name: string, body: string): string[] {
  const used = [...body.matchAll(PLACEHOLDER)].map(([, key = ""]) => key.trim());
  return placeholders[kind].mandatory
    .filter((key) => !used.includes(key))
    .map((key) => `${name}: {{${key}}} is missing.`);
}
