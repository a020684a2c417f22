import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { drawBars, drawRate, drawTotals } from "./charts";
import { embeddedJson, type Markup, markup } from "./markup";
import type { Report } from "./model";

const asset = (name: string): string => readFileSync(join(__dirname, name), "utf8");
const style = asset("page.css");
const script = asset("users-table.js");

const scriptHash = createHash("sha256").update(script).digest("base64");

/** Its own style and script, no picture, no font, no request: whatever would be loaded is refused. */
const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'; base-uri 'none'; form-action 'none'`;

/** The whole report as one file. */
export function pageOf(report: Report): string {
  const { stack, clerkInstanceId, madeAt, isRevealed } = report;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>Users moving to Clerk: ${stack}</title>
<style>${{ html: style }}</style>
</head>
<body>
<a class="skip" href="#users">Skip to the list of users</a>
<header>
<h1>Users moving to Clerk</h1>
<p>Stack <b>${stack}</b>, Clerk instance <b>${clerkInstanceId}</b>, as of <time datetime="${madeAt.replace(" ", "T")}Z">${madeAt}</time> UTC.
${isRevealed ? "Addresses are whole: keep this file as you keep the users table." : "Addresses are masked."}</p>
</header>
<main>
${funnelSection(report)}
${nextSection(report)}
${timeSections(report)}
${failureSection(report)}
${stragglerSection(report)}
${mailSection(report)}
${runSection(report)}
${userSection(report)}
</main>
<script type="application/json" id="users-data">${embeddedJson(report.users)}</script>
<script>${{ html: script }}</script>
</body>
</html>
`.html;
}

function funnelSection({ steps }: Report): Markup {
  const told = steps.map(({ step, users }) => `${step} ${number(users)}`).join(", ");
  const bars = steps.map(({ step, users, share }) => ({
    name: step,
    value: users,
    text: `${number(users)} (${share})`,
  }));
  return section(
    "funnel",
    "How far they have come",
    markup`${drawBars(bars, `Users at each step: ${told}.`)}
${asTable(
  table(
    "Users at each step",
    ["Step", "Users", "Of legacy"],
    steps.map(({ step, users, share }) => [step, number(users), share]),
  ),
)}`,
  );
}

function nextSection({ next }: Report): Markup {
  return section("next", "What to do next", markup`<ul>${next.map((step) => markup`<li>${step}</li>`)}</ul>`);
}

function timeSections({ series }: Report): Markup {
  const { unit, periods } = series;
  const last = periods.at(-1);
  const end = `${number(last?.migratedInAll ?? 0)} migrated, ${number(last?.signedInInAll ?? 0)} of them signed in`;
  const busiest = periods.reduce((most, { migrated }) => Math.max(most, migrated), 0);
  const rows = periods.filter(({ migrated, signedIn }) => migrated + signedIn > 0);
  return markup`${section(
    "arrivals",
    "Arrivals over time",
    markup`<p class="legend"><span class="first">migrated</span> <span class="second">signed in with Clerk</span></p>
${drawTotals(series, `Users migrated and signed in, up to each ${unit}: ${end} at the end.`)}
<p class="note">The first sign-in that a run has seen: Clerk itself tells only of the latest.</p>
${asTable(
  table(
    `Users who migrated and signed in, by ${unit} (UTC)`,
    [
      unit === "hour" ? "Hour" : unit === "day" ? "Day" : "Week from",
      "Migrated",
      "in all",
      "Signed in",
      "in all",
    ],
    rows.map((period) => [
      period.start,
      number(period.migrated),
      number(period.migratedInAll),
      number(period.signedIn),
      number(period.signedInInAll),
    ]),
  ),
)}`,
  )}
${section(
  "rate",
  "Migration rate",
  drawRate(
    series,
    `Users migrated in each ${unit}: at most ${number(busiest)}. The numbers are in the table above.`,
  ),
)}`;
}

function failureSection({ failures }: Report): Markup {
  return section(
    "failures",
    "Failures and blocked rows",
    failures.length === 0
      ? markup`<p>None.</p>`
      : table(
          "What stands in the way, and its remedy; the list of users says who",
          ["What", "Users", "Reason", "Remedy"],
          failures.map(({ what, users, reason, remedy }) => [
            { user: "failed", row: "blocked", mail: "mail", digest: "digest" }[what],
            number(users),
            reason,
            remedy,
          ]),
        ),
  );
}

function stragglerSection({ stragglers }: Report): Markup {
  const all = stragglers.reduce((sum, { users }) => sum + users, 0);
  const bars = stragglers.map(({ age, users }) => ({ name: age, value: users, text: number(users) }));
  const said = stragglers.map(({ age, users }) => `${age} ${number(users)}`).join(", ");
  return section(
    "stragglers",
    "Stragglers by age",
    markup`<p>${number(all)} users have moved and never signed in since they were told, or linked where nobody is told.</p>
${drawBars(bars, `Users who have not signed in, by age: ${said}.`)}
${asTable(
  table(
    "Users who have not signed in",
    ["Since", "Users"],
    stragglers.map(({ age, users }) => [age, number(users)]),
  ),
)}`,
  );
}

function mailSection({ forecast }: Report): Markup {
  return section(
    "mail",
    "Mail forecast",
    forecast.length === 0
      ? markup`<p>Nobody is told by mail.</p>`
      : table(
          "When the last mail goes out; the mails to those who are still to be migrated are among the pending",
          ["Mail", "Sent", "Pending", "Pace", "The last one"],
          forecast.map(({ mail, sent, pending, pace, end }) => [
            mail,
            number(sent),
            number(pending),
            pace,
            end,
          ]),
        ),
  );
}

function runSection({ runs, runsInAll }: Report): Markup {
  const caption =
    runs.length < runsInAll
      ? `The latest ${number(runs.length)} of ${number(runsInAll)} runs, newest first (UTC)`
      : "All runs, newest first (UTC)";
  return section(
    "runs",
    "Runs",
    runs.length === 0
      ? markup`<p>None.</p>`
      : table(
          caption,
          ["Run", "Started", "By", "Commit", "Took", "Planned", "In all afterwards", "Requests"],
          runs.map((run) => [
            `#${run.id}`,
            run.startedAt,
            run.operator,
            run.commit,
            run.duration,
            run.planned,
            run.actual,
            run.requests,
          ]),
        ),
  );
}

/** Its rows are the script's: in the file each user is a few characters. */
function userSection({ users }: Report): Markup {
  const heads = [
    ["label", "User"],
    ["id", "user_id"],
    ["state", "State"],
    ["linked", "Linked"],
    ["told", "Told"],
    ["signedIn", "Signed in"],
    ["note", "Note"],
  ] as const;
  return section(
    "users",
    "Users",
    markup`<noscript><p>This list needs JavaScript, which is off here. <code>npm run plan -- --csv</code> lists the same users.</p></noscript>
<form role="search" class="controls" id="users-controls" hidden>
<label>Search <input type="search" id="users-search" autocomplete="off" spellcheck="false" placeholder="address, user_id, note"></label>
<label>State <select id="users-state"><option value="">all</option></select></label>
</form>
<div class="scroll" role="region" aria-labelledby="users-caption" tabindex="0">
<table id="users-table" hidden>
<caption id="users-caption">All ${number(users.count)} rows, ${number(PAGE)} at a time; the head of a column sorts by it. Days are UTC.</caption>
<thead><tr>${heads.map(
      ([key, title]) =>
        markup`<th scope="col" data-key="${key}"><button type="button">${title}</button></th>`,
    )}</tr></thead>
<tbody></tbody>
</table>
</div>
<nav class="pages" id="users-pages" aria-label="Pages of users" hidden>
<button type="button" id="users-before">Previous</button>
<span id="users-range" role="status"></span>
<button type="button" id="users-after">Next</button>
</nav>`,
  );
}

const PAGE = 50;

function section(id: string, title: string, content: Markup): Markup {
  return markup`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${content}
</section>`;
}

/** The words of a chart, for whoever does not see it or wants the numbers. */
function asTable(content: Markup): Markup {
  return markup`<details><summary>As a table</summary>${content}</details>`;
}

/** Numbers stand right, wherever a whole column holds nothing else. */
function table(caption: string, heads: readonly string[], rows: readonly (readonly string[])[]): Markup {
  const isNumber = heads.map((_, column) =>
    rows.every((row) => /^\d{1,3}(,\d{3})*( %)?$|^–$/.test(row[column] ?? "")),
  );
  const kind = (column: number) => (isNumber[column] === true ? "number" : "text");
  return markup`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
<thead><tr>${heads.map((head, column) => markup`<th scope="col" class="${kind(column)}">${head}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      markup`<tr>${row.map((cell, column) =>
        column === 0
          ? markup`<th scope="row">${cell}</th>`
          : markup`<td class="${kind(column)}">${cell}</td>`,
      )}</tr>
`,
  )}</tbody>
</table></div>`;
}

const format = new Intl.NumberFormat("en");
const number = (value: number) => format.format(value);
