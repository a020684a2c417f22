import { counted } from "./counted";
import { firstFew, firstUsers } from "./first-few";
import { settlementsOf } from "./plan";
import { mailLines, type MailTextSettings } from "./plan-text-mails";
import { countVerdicts, type Plan, type PlannedUser } from "./planned";
import { withoutLiterals } from "./postgres/without-literals";
import type { Settings } from "./settings";
import { newPasswordReasons } from "./verdicts/new-password";
import type { Note } from "./verdicts/notes";
import type { ReasonCode, Settlement, Verdict } from "./verdicts/reasons";
import type { Retire } from "./verdicts/retire";

/** A line for every user up to here; beyond, only the groups with a few examples: `npm run plan` has them all. */
const LINES = 100;
const EXAMPLES = 3;

type TextSettings = MailTextSettings &
  Pick<Settings, "retirePasswords" | "where" | "domains" | "limit" | "percent" | "emails" | "exclude">;

/** What a dry run prints: whom a run would touch, every verdict with its reasons and remedies, and a summary. */
export function describePlan(plan: Plan, settings: TextSettings): string {
  const touched = plan.users.filter((user) => touching.includes(user.verdict));
  const isListed = touched.length <= LINES;
  return [
    "Dry run: nothing is written, in Postgres or in Clerk.",
    ...(isListed ? touchedLines(touched) : []),
    ...groupsOf(plan)
      .filter((group) => !isListed || !touching.includes(group.verdict) || setNewPasswords(group.users))
      .flatMap(groupLines),
    ...noteLines(plan),
    ...findingLines(plan),
    ...decisionLines(plan),
    ...removalLines(plan),
    "",
    ...selectionLine(settings),
    summaryLine(plan),
    ...meaning(plan, settings),
  ].join("\n");
}

const touching: readonly Verdict[] = ["create", "resume", "update", "adopt"];

/** What a list of users would hide among the others. */
function setNewPasswords(users: readonly PlannedUser[]): boolean {
  return users.some(({ newPassword }) => newPassword !== null);
}

function touchedLines(touched: readonly PlannedUser[]): string[] {
  const width = touched.length.toString().length;
  return touched.map((user, index) => {
    const position = `${(index + 1).toString().padStart(width)}/${touched.length.toString()}`;
    const verdict = user.verdict === "create" ? "" : `  ${user.verdict}`;
    const reason = user.reason === "" ? "" : `  (${user.reason})`;
    return `${position}  ${user.label.padEnd(28)}  ${user.userId}  created ${user.createdAt.slice(0, 10) || "unknown"}${verdict}${reason}`;
  });
}

interface Group {
  readonly verdict: Verdict;
  readonly title: string;
  readonly remedy: string;
  readonly users: readonly PlannedUser[];
}

/** In the order in which people have to care: what is blocked first. */
const order: readonly Verdict[] = ["blocked", "create", "adopt", "resume", "update", "unchanged", "excluded"];

/** Users with one verdict for one reason. Those whose reason says nothing are in the summary's numbers. */
export function groupsOf({ users }: Plan): Group[] {
  const groups = new Map<ReasonCode, PlannedUser[]>();
  for (const user of users.filter(({ reason }) => reason !== "")) {
    const members = groups.get(user.code);
    if (members === undefined) groups.set(user.code, [user]);
    else members.push(user);
  }
  return [...groups.values()]
    .flatMap((members) => {
      const [first] = members;
      if (first === undefined) return [];
      const title = members.every((user) => user.reason === first.reason)
        ? first.reason
        : first.reason.replace(/ \([^()]*\)$/, "");
      return [{ verdict: first.verdict, title, remedy: first.remedy, users: members }];
    })
    .toSorted(
      (a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict) || b.users.length - a.users.length,
    );
}

function groupLines({ verdict, title, remedy, users }: Group): string[] {
  const [first] = users;
  const differ = users.some((user) => user.reason !== first?.reason);
  const examples = users.slice(0, EXAMPLES).map((user) => {
    const detail = differ ? /\(([^()]*)\)$/.exec(user.reason)?.[1] : undefined;
    return `    ${user.label}  ${user.userId}${detail === undefined ? "" : `  ${detail}`}`;
  });
  const more = users.length - examples.length;
  return [
    "",
    `${verdict}  ${users.length.toString()}  ${title}`,
    ...examples,
    ...(more > 0 ? [`    … and ${more.toString()} more`] : []),
    ...(remedy === "" ? [] : [`    → ${remedy}`]),
  ];
}

const noteTitles: Readonly<Record<Note, string>> = {
  normalised: "addresses are sent trimmed and in lower case, as Clerk keeps them",
  "weak-digest": "password hashes have a bcrypt cost below 10; Clerk keeps them as they are",
  "invited-by-others":
    "addresses have a pending invitation of somebody else, which is left as it is: they get another mail",
  "unusable-date":
    "rows have a sign-up date that cannot be sent (infinity, a zero date); Clerk shows the day of the migration",
  "trunk-zero": "phone numbers have a (0) after the country code, which is left out",
  restricted: "addresses are concerned by a restriction of the instance, see below",
};

function noteLines({ users }: Plan): string[] {
  return Object.entries(noteTitles).flatMap(([note, title]) => {
    const concerned = users.filter((user) => user.notes.some((own) => own === note));
    if (concerned.length === 0) return [];
    const shown = firstUsers(concerned, EXAMPLES);
    return ["", `note  ${concerned.length.toString()} ${title}: ${shown}`];
  });
}

function findingLines({ findings }: Plan): string[] {
  return findings
    .filter((finding) => finding.status !== "ok")
    .flatMap(({ status, sentence, remedy }) => [
      "",
      `${status}  ${sentence}${remedy === "" ? "" : `\n    → ${remedy}`}`,
    ]);
}

const settlementLines: Readonly<Record<Settlement, string>> = {
  skip: "skip: why this user is left out",
  adopt: "adopt: true",
  email: "email: another@address",
  passwords: "passwords: reset",
  recreate: "recreate: true",
  forget: "forget: true",
};

/** The block to paste, commented: whoever takes it over has to decide. */
function decisionLines({ users, idleDecisions }: Plan): string[] {
  const open = users.filter((user) => user.verdict === "blocked" && settlementsOf(user).length > 0);
  const shown = open.slice(0, LINES);
  const block = shown.flatMap((user) => [
    `# ${user.userId}: # ${user.reason}`,
    ...settlementsOf(user).map((settlement) => `#   ${settlementLines[settlement]}`),
  ]);
  return [
    ...(block.length === 0
      ? []
      : [
          "",
          "To settle what is blocked, paste into decisions.yaml and uncomment one line for each user:",
          "",
          ...block,
        ]),
    ...(open.length > shown.length
      ? [`# … and ${(open.length - shown.length).toString()} more: npm run plan`]
      : []),
    ...(idleDecisions.length === 0
      ? []
      : [
          "",
          `note  ${idleDecisions.length.toString()} decisions no longer change anything, and can be removed: ${firstFew(idleDecisions, 5)}`,
        ]),
  ];
}

const removalReasons: Readonly<Record<Plan["removals"][number]["why"], string>> = {
  "row-gone": "the row is gone, and allowRemovals lets that many go",
  forgotten: "was deleted in Clerk, and a decision forgets the user",
};

/** The only people whom an `up` takes back. */
function removalLines({ removals }: Plan): string[] {
  return Object.entries(removalReasons).flatMap(([why, reason]) => {
    const concerned = removals.filter((removal) => removal.why === why);
    if (concerned.length === 0) return [];
    return ["", `remove  ${concerned.length.toString()}  ${reason}: ${firstUsers(concerned, LINES)}`];
  });
}

/** Which wave it is, in the words of the settings; addresses only as a number. */
function selectionLine(settings: TextSettings): string[] {
  const { where, domains, limit, percent, emails, exclude } = settings;
  const parts = [
    where === "" ? "" : `where ${withoutLiterals(where)}`,
    domains.length === 0 ? "" : `domains ${domains.join(", ")}`,
    emails.length === 0 ? "" : `${emails.length.toString()} addresses`,
    exclude.length === 0 ? "" : `without ${exclude.length.toString()}`,
    limit === 0 ? "" : `at most ${limit.toString()} in all`,
    percent === 100 ? "" : `${percent.toString()} % of all`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? [] : [`This wave: ${parts.join("; ")}.`];
}

/** `36 to create, 8 left out (…)`: every row of the table is in one of the numbers. */
export function summaryLine(plan: Plan): string {
  const counts = countVerdicts(plan);
  const parts = [
    ...(counts.create > 0 || counts.unchanged === 0 ? [`${counts.create.toString()} to create`] : []),
    ...(counts.adopt > 0 ? [`${counts.adopt.toString()} to adopt`] : []),
    ...(counts.resume > 0 ? [`${counts.resume.toString()} to resume`] : []),
    ...(counts.update > 0 ? [`${counts.update.toString()} to update`] : []),
    ...(counts.unchanged > 0 ? [`${counts.unchanged.toString()} unchanged`] : []),
    ...(plan.removals.length > 0 ? [`${plan.removals.length.toString()} to remove`] : []),
    `${counts.blocked.toString()} blocked`,
    `${counts.excluded.toString()} left out${leftOut(plan)}`,
  ];
  return `${plan.users.length.toString()} rows: ${parts.join(", ")}.`;
}

function leftOut(plan: Plan): string {
  const reasons = groupsOf(plan).filter((group) => group.verdict === "excluded");
  if (reasons.length === 0) return "";
  return ` (${reasons.map(({ title, users }) => `${users.length.toString()} ${title}`).join("; ")})`;
}

/** What it means to the user, which the numbers do not say. */
function meaning(plan: Plan, settings: TextSettings): string[] {
  return [
    ...passwordLine(plan, settings),
    ...mailLines(plan, settings),
    ...webhookLine(plan),
    ...retireLines(plan, settings),
  ];
}

/** Those whom this run makes, or goes on making. */
function made({ users }: Plan): PlannedUser[] {
  return users.filter(
    ({ verdict, code }) => verdict === "create" || code === "recreate" || code === "cut-off-create",
  );
}

/** Who goes on with the old password, and who cannot, and why. */
function passwordLine(plan: Plan, { notify }: Pick<TextSettings, "notify">): string[] {
  const users = made(plan);
  const changed = users.filter(({ newPassword }) => newPassword !== null);
  const carried = users.length - changed.length;
  if (users.length === 0) return [];
  if (changed.length === 0)
    return [`Passwords: ${carried.toString()} carried over; the old password works in Clerk at once.`];
  const reasons = Object.entries(newPasswordReasons).flatMap(([reason, title]) => {
    const count = changed.filter(({ newPassword }) => newPassword === reason).length;
    return count === 0 ? [] : [`${count.toString()} because ${title}`];
  });
  const verb = changed.length === 1 ? "sets" : "set";
  const way = notify === "none" ? "at the first sign-in" : "for whom the mail is the way in";
  return [
    `Passwords: ${carried === 0 ? "" : `${carried.toString()} carried over; `}${changed.length.toString()} ${verb} a new one, ${way}: ${reasons.join(", ")}.`,
  ];
}

/** What the application may do by itself, which no setting of ours can prevent. */
function webhookLine(plan: Plan): string[] {
  const count = made(plan).length;
  return count === 0
    ? []
    : [
        `Webhooks: Clerk will send user.created for ${counted(count, "user")}. An application that welcomes new users by mail would welcome these: let its handler pass over whoever has an external_id.`,
      ];
}

const staying: readonly (readonly [Retire, string])[] = [
  ["not-arrived", "have not signed in with Clerk"],
  ["too-recent", "have done so only lately"],
  ["banned", "are banned"],
  ["canary", "wait for the canary"],
];

/** Whose digests go, and who is still out. */
function retireLines({ users }: Plan, { retirePasswords }: TextSettings): string[] {
  const count = (wanted: Retire) => users.filter(({ retire }) => retire === wanted).length;
  const [now, purged] = [count("now"), count("purged")];
  const out = count("retired") + purged;
  if (retirePasswords === "off" && out === 0) return [];
  const stay = staying.flatMap(([retire, why]) =>
    count(retire) === 0 ? [] : [`${count(retire).toString()} ${why}`],
  );
  return [
    `Digests: ${now.toString()} to be sealed and taken out of the table, ${out.toString()} are out already${purged === 0 ? "" : `, ${purged.toString()} of them purged`}${stay.length === 0 ? "" : `; the others stay: ${stay.join(", ")}`}.`,
  ];
}
