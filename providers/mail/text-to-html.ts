import { escapeHtml } from "./html";

interface Frame {
  readonly title: string;
  readonly language: string;
  /** What stands on the button. */
  readonly button: string;
}

const FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const LINK_ALONE = /^\{\{\s*(link|signInUrl)\s*\}\}$/;

/**
 * A mail in HTML from the template of its text: paragraphs, and a button where a link stands in one by itself.
 * Nothing in it comes from elsewhere, and nothing tells anybody that it was opened.
 */
export function htmlFrame(text: string, { title, language, button }: Frame): string {
  const paragraphs = text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim());
  const body = paragraphs.map((paragraph) => {
    const alone = LINK_ALONE.exec(paragraph)?.[1];
    return alone === undefined ? paragraphOf(paragraph) : buttonOf(alone, button);
  });
  // What a mailbox shows beside the subject: not the greeting.
  const preheader = paragraphs[1] ?? "";
  return `<!doctype html>
<html lang="${escapeHtml(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  .page { background: #16181d !important; }
  .text { color: #e8eaed !important; }
  .quiet { color: #a9b0bb !important; }
  .button { background: #a8c7fa !important; color: #0b1f3f !important; }
}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#ffffff">
<div style="display:none;max-height:0;overflow:hidden">${LINK_ALONE.test(preheader) ? "" : escapeHtml(preheader)}</div>
<div role="article" aria-label="${escapeHtml(title)}" style="max-width:560px;margin:0 auto;padding:32px 24px;${FONT};font-size:16px;line-height:1.5">
${body.join("\n")}
</div>
</body>
</html>
`;
}

function paragraphOf(paragraph: string): string {
  const lines = paragraph.split("\n").map(escapeHtml);
  return `<p class="text" style="margin:0 0 16px;color:#1f2328">${lines.join("<br>\n")}</p>`;
}

/** With the address in full below it: who is wary of buttons can read where it leads. */
function buttonOf(placeholder: string, label: string): string {
  const link = `{{${placeholder}}}`;
  return `<p style="margin:24px 0 8px"><a class="button" href="${link}" style="display:inline-block;padding:12px 24px;border-radius:6px;background:#1a56c4;color:#ffffff;text-decoration:none;font-weight:600">${escapeHtml(label)}</a></p>
<p class="quiet" style="margin:0 0 24px;color:#59636e;font-size:13px;word-break:break-all">${link}</p>`;
}
