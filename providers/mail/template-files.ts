import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { MigrationError } from "../errors";
import { defaultTemplates } from "./default-templates";
import {
  type MailKind,
  mailKinds,
  type MailTemplate,
  type MailTemplates,
  parseTemplate,
  type TemplateSource,
} from "./templates";

/** The defaults, replaced by what lies in the directory. All that is wrong with the files is one error. */
export function loadTemplates(directory: string | null): MailTemplates {
  if (directory === null) return defaultTemplates;
  if (!existsSync(directory))
    throw failure([`${directory} does not exist. Create it, or leave mailTemplates empty for the defaults.`]);
  const problems = strangers(directory);
  const load = (kind: MailKind): MailTemplate => {
    const text = read(directory, `${kind}.txt`);
    const html = read(directory, `${kind}.html`);
    if (text === null) {
      if (html !== null) problems.push(`${html.name} needs ${kind}.txt beside it: every mail has a text.`);
      return defaultTemplates[kind];
    }
    const parsed = parseTemplate(kind, text, html);
    problems.push(...parsed.problems);
    return parsed.template;
  };
  const templates = { "sign-in-link": load("sign-in-link"), announcement: load("announcement") };
  if (problems.length > 0) throw failure(problems);
  return templates;
}

function read(directory: string, file: string): TemplateSource | null {
  const name = join(directory, file);
  return existsSync(name) ? { name, content: readFileSync(name, "utf8") } : null;
}

/** A misspelt name would silently leave the default in place. */
function strangers(directory: string): string[] {
  const expected = mailKinds.flatMap((kind) => [`${kind}.txt`, `${kind}.html`]);
  return readdirSync(directory)
    .filter((file) => /\.(txt|html?)$/i.test(file) && !expected.includes(file))
    .sort()
    .map((file) => `${join(directory, file)} is no template; those are ${expected.join(", ")}.`);
}

function failure(problems: readonly string[]): MigrationError {
  return new MigrationError(
    "mail-templates",
    problems.length === 1
      ? "One thing is wrong with the mail templates:"
      : `${problems.length.toString()} things are wrong with the mail templates:`,
    `\n${problems.map((problem) => `  - ${problem}`).join("\n")}`,
  );
}
