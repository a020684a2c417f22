import { firstFew } from "./first-few";
import { countVerdicts, type Plan, type PlannedUser, settlementsOf } from "./plan";
import { type Way, ways } from "./postgres/ledger";
import type { Settings } from "./settings";
import { channelOf } from "./verdicts/mails";
import type { Note } from "./verdicts/notes";
import { type Channel, DEVELOPMENT_MAILS_PER_MONTH, hoursFor, type Pace, paceOf } from "./verdicts/pace";
import type { ReasonCode, Settlement, Verdict } from "./verdicts/reasons";
import type { MailFacts } from "./world";

/** A line for every user up to here; beyond, only the groups with a few examples: `npm run plan` has them all. */
const LINES = 100;
const EXAMPLES = 3;

type TextSettings = Pick<
  Settings,
  | "passwords"
  | "notify"
  | "invitationsPerHour"
  | "mailsPerHour"
  | "mailsPerDay"
  | "mailWarmUp"
  | "redirectAllMailTo"
  | "remindAfterDays"
  | "where"
  | "domains"
  | "limit"
  | "percent"
  | "emails"
  | "exclude"
>;

/** What a dry run prints: whom a run would touch, every verdict with its reasons and remedies, and a summary. */
export function describePlan(plan: Plan, settings: TextSettings): string {
  const touched = plan.users.filter((user) => touching.includes(user.verdict));
  const isListed = touched.length <= LINES;
  return [
    "Dry run: nothing is written, in Postgres or in Clerk.",
    ...(isListed ? touchedLines(touched) : []),
    ...groupsOf(plan)
      .filter(({ verdict }) => !(isListed && touching.includes(verdict)))
      .flatMap(groupLines),
    ...noteLines(plan),
    ...findingLines(plan),
    ...decisionLines(plan),
    "",
    ...selectionLine(settings),
    summaryLine(plan),
    ...meaning(plan, settings),
  ].join("\n");
}

const touching: readonly Verdict[] = ["create", "resume", "update", "adopt"];

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
  restricted: "addresses are concerned by a restriction of the instance, see below",
};

function noteLines({ users }: Plan): string[] {
  return Object.entries(noteTitles).flatMap(([note, title]) => {
    const concerned = users.filter((user) => user.notes.some((own) => own === note));
    if (concerned.length === 0) return [];
    const shown = firstFew(
      concerned.map((user) => user.userId),
      EXAMPLES,
    );
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

/** Which wave it is, in the words of the settings; addresses only as a number. */
function selectionLine(settings: TextSettings): string[] {
  const { where, domains, limit, percent, emails, exclude } = settings;
  const parts = [
    where === "" ? "" : `where ${where}`,
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
    settings.passwords === "carry"
      ? "Passwords: carried over; the old password works in Clerk at once."
      : "Passwords: reset; each user sets one at the first sign-in.",
    ...mailLines(plan, settings),
  ];
}

function mailLines(plan: Plan, settings: TextSettings): string[] {
  const { users, mails } = plan;
  const unknown = users.filter(({ unknownMail }) => unknownMail > 0);
  const lost =
    unknown.length === 0
      ? []
      : [
          `  ${counted(unknown.length, "mail")} may be out, or not, and nobody can be asked. To send one again, write resend into decisions.yaml:`,
          ...unknown
            .slice(0, LINES)
            .map((user) => `    ${user.userId}: { resend: ${user.unknownMail.toString()} }`),
        ];
  if (settings.notify === "none") return ["Mail: none; nobody is told.", ...lost];
  const channels = (["invitations", "own"] as const).flatMap((channel) =>
    channelLines(channel, plan, settings),
  );
  const count = users.filter(({ told }) => told === "sent").length;
  const { sent, now } = reminderCounts(plan);
  const later = users.filter(({ isReminderPending }) => isReminderPending).length;
  return [
    ...(channels.length === 0 ? ["Mail: nobody is to be told now."] : channels),
    ...(count === 0 ? [] : [`  ${count.toString()} are out already.`]),
    ...(now + later === 0
      ? []
      : [
          `  ${now.toString()} reminders to users who were told ${settings.remindAfterDays.toString()} days ago or more and have not signed in${later === 0 ? "" : `, ${later.toString()} later`}; ${sent.toString()} are out already.`,
        ]),
    ...(settings.redirectAllMailTo === undefined
      ? []
      : ["  Rehearsal: all of them go to redirectAllMailTo; nobody is told, and no link signs in."]),
    ...(mails.invitations.thisMonth === null || settings.notify !== "invitation"
      ? []
      : [
          `  ${mails.invitations.thisMonth.toString()} of the ${DEVELOPMENT_MAILS_PER_MONTH.toString()} mails are used that a development instance delivers in a month; the rest would be dropped without a word, so it is not sent.`,
        ]),
    ...lost,
  ];
}

function reminderCounts({ users, remindersOut }: Plan): { sent: number; now: number } {
  const all = users.flatMap(({ notifications }) => notifications.filter(({ number }) => number > 0)).length;
  return { sent: remindersOut, now: all - remindersOut };
}

const mailNames: Readonly<Record<Way, string>> = {
  invitation: "invitations by Clerk",
  "sign-in-link": "mails with a sign-in link, template sign-in-link",
  announcement: "announcements, template announcement",
};

function channelLines(channel: Channel, { users, mails }: Plan, settings: TextSettings): string[] {
  const concerned = users.filter(({ way }) => channelOf(way) === channel);
  const now = concerned.filter(({ told }) => told === "now");
  const later = concerned.filter(({ told }) => told === "later").length;
  if (now.length + later === 0) return [];
  const pace = paceOf(channel, settings, mails);
  const byWay = ways.flatMap((way) => {
    const count = now.filter((user) => user.way === way).length;
    return count === 0 ? [] : [`${count.toString()} ${mailNames[way]}`];
  });
  const how =
    settings.passwords === "carry"
      ? "nobody has to follow the link to go on signing in"
      : "the link leads to the first sign-in";
  return [
    `Mail: ${byWay.length === 0 ? "none now" : byWay.join(", ")}; ${how}.`,
    "  The page they lead to must hold <SignIn/>: <SignUp/> refuses people who have an account.",
    ...(later === 0 ? [] : [pendingLine(later, channel, pace, mails)]),
  ];
}

function pendingLine(later: number, channel: Channel, pace: Pace, mails: MailFacts): string {
  const { hour, day, problem } = mails[channel];
  const limits =
    channel === "invitations"
      ? `Clerk sends ${pace.perHour.toString()} an hour, ${hour.count.toString()} of them went out in the last one`
      : `at most ${limitText(pace.perHour)} an hour and ${limitText(pace.perDay[0] ?? Infinity)} today; ${hour.count.toString()} went out in the last hour, ${day.count.toString()} in the last day`;
  const hours = hoursFor(later, pace);
  const end =
    hours === null
      ? "They do not fit into this month."
      : `The last one goes out in about ${counted(hours, "hour")}, if up runs every hour (npm run up -- --until-done does).`;
  return `  ${later.toString()} more are pending: ${problem === "" ? limits : "the mail server is away, see above"}. ${end}`;
}

function limitText(limit: number): string {
  return limit === Infinity ? "any number" : limit.toString();
}

function counted(count: number, what: string): string {
  return `${count.toString()} ${what}${count === 1 ? "" : "s"}`;
}
