import type { Instance } from "./instance";
import type { LoggedRequest } from "./records";
import { invitationJson } from "./routes/invitations";
import { userJson } from "./user-json";

/** Rows of a table on the page. `/sandbox.json` has everything. */
const ROWS = 200;

/** Text, or markup made here. */
type Cell = string | { readonly html: string };

/** What the sandbox shows of itself, as JSON: everything but digests. */
export function sandboxJson(instance: Instance) {
  const { store } = instance;
  return {
    instance: {
      id: instance.id,
      environment_type: instance.environmentType,
      url: instance.url,
      issuer: instance.issuer,
      publishable_key: instance.publishableKey,
    },
    users: store.usersByCreation().map(userJson),
    invitations: [...store.invitations.values()].map((invitation) => invitationJson(instance, invitation)),
    outbox: store.outbox,
    requests: store.requests,
  };
}

export function sandboxPage(instance: Instance): string {
  const { store } = instance;
  const users = store
    .usersByCreation()
    .map((user) => [
      user.id,
      user.externalId ?? "",
      user.emailAddresses.map((address) => `${address.emailAddress} (${address.status})`).join(", "),
      [user.firstName, user.lastName].filter((name) => name !== null).join(" "),
      user.password?.hasher ?? "none",
      time(user.createdAt),
      user.lastSignInAt === null ? "never" : time(user.lastSignInAt),
      [user.banned && "banned", user.locked && "locked", user.requiresPasswordReset && "must reset password"]
        .filter(Boolean)
        .join(", "),
    ]);
  const mails = store.outbox.map((mail) => [
    time(mail.at),
    mail.to,
    mail.kind,
    mail.url === null ? "" : { html: link(mail.url) },
    mail.delivered ? "yes" : `no: ${mail.undeliveredBecause ?? ""}`,
  ]);
  return page(
    "Local Clerk",
    `<p>Instance ${escape(instance.id)}, ${instance.environmentType}. Everything as JSON: ${link("/sandbox.json")}.
     Sign in: ${link(`${instance.issuer}/sign-in`)}.</p>`,
    table(
      "Users",
      ["id", "external id", "addresses", "name", "password", "created", "last signed in", "state"],
      users,
    ),
    table("Outbox", ["at", "to", "mail", "link", "delivered"], mails.reverse()),
    table(
      "Requests",
      ["at", "request", "status", "wrote", "fault"],
      [...store.requests].reverse().slice(0, ROWS).map(requestRow),
      store.requests.length,
    ),
  );
}

export function signInPage(ticket: string | null, status: string | null): string {
  const action = status === "sign_up" ? "/v1/client/sign_ups" : "/v1/client/sign_ins";
  const fields =
    ticket === null
      ? `<p><label>E-mail address <input name="identifier" type="email" required></label></p>
         <p><label>Password <input name="password" type="password" required></label></p>`
      : `<input type="hidden" name="strategy" value="ticket">
         <input type="hidden" name="ticket" value="${escape(ticket)}">
         <p>The link in your mail signs you in.</p>
         ${status === "sign_up" ? `<p><label>New password <input name="password" type="password"></label></p>` : ""}`;
  return page(
    "Sign in",
    `<form method="post" action="${action}">${fields}<button>Continue</button></form>
     <p>The answer is what Clerk's browser library would get: a session and its token.</p>`,
  );
}

function requestRow(request: LoggedRequest): Cell[] {
  const query = request.queryKeys.length > 0 ? `?${request.queryKeys.join("&")}` : "";
  return [
    time(request.at),
    `${request.method} ${request.path}${query}`,
    request.status?.toString() ?? "none",
    request.wrote ? "yes" : "",
    request.fault ?? "",
  ];
}

function table(
  title: string,
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
  total = rows.length,
): string {
  const markup = (cell: Cell) => (typeof cell === "string" ? escape(cell) : cell.html);
  const cells = (row: readonly Cell[]) => row.map((cell) => `<td>${markup(cell)}</td>`).join("");
  const body = rows.slice(0, ROWS).map((row) => `<tr>${cells(row)}</tr>`);
  const more = total > ROWS ? `<p>The latest ${ROWS} of ${total}.</p>` : "";
  return `<h2>${title} (${total})</h2>${more}
    <table><tr>${headings.map((heading) => `<th>${heading}</th>`).join("")}</tr>${body.join("\n")}</table>`;
}

function page(title: string, ...parts: readonly string[]): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
    <style>body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse}
    th,td{border:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top}</style>
    <h1>${title}</h1>${parts.join("\n")}</html>`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function link(url: string): string {
  return `<a href="${escape(url)}">${escape(url)}</a>`;
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
