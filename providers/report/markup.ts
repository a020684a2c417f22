import { escapeHtml } from "../mail/html";

/** Text that is HTML already. */
export interface Markup {
  readonly html: string;
}

type Part = string | Markup | readonly Markup[];

/** HTML whose insertions are text, unless they are markup themselves. */
export function markup(pieces: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return { html: String.raw({ raw: pieces }, ...parts.map(htmlOf)) };
}

function htmlOf(part: Part): string {
  if (typeof part === "string") return escapeHtml(part);
  return "html" in part ? part.html : part.map(({ html }) => html).join("");
}

/** JSON that cannot end the script element it stands in. */
export function embeddedJson(data: unknown): Markup {
  return { html: JSON.stringify(data).replaceAll("<", "\\u003c") };
}
