import { counted } from "./counted";
import { isToldNow, type Plan, type PlannedUser } from "./planned";
import { type Way, ways } from "./postgres/ledger";
import type { Settings } from "./settings";
import { channelOf } from "./verdicts/mails";
import {
  type Channel,
  channels,
  DEVELOPMENT_MAILS_PER_MONTH,
  hoursFor,
  type Pace,
  paceOf,
  type PaceSettings,
} from "./verdicts/pace";
import type { MailFacts } from "./world";

export type MailTextSettings = PaceSettings &
  Pick<Settings, "notify" | "redirectAllMailTo" | "remindAfterDays">;

/** How many decisions are shown to be pasted. */
const LINES = 100;

/** Who is told, how, and when the last one is. */
export function mailLines(plan: Plan, settings: MailTextSettings): string[] {
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
  const rest = [...takenBackLine(users), ...lost];
  if (settings.notify === "none") return ["Mail: none; nobody is told.", ...rest];
  const byChannel = channels.flatMap((channel) => channelLines(channel, plan, settings));
  const count = users.filter(({ told }) => told === "sent").length;
  const { sent, now } = reminderCounts(plan);
  const later = users.filter(({ isReminderPending }) => isReminderPending).length;
  return [
    ...(byChannel.length === 0 ? ["Mail: nobody is to be told now."] : byChannel),
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
    ...rest,
  ];
}

/** Links that are revoked, and for which no new one goes out in this run. */
function takenBackLine(users: readonly PlannedUser[]): string[] {
  const count = users.filter(({ takesBack }) => takesBack).length;
  return count === 0
    ? []
    : [
        `  ${count.toString()} went to an address that the user no longer has, or to somebody whom the application has shut out: the link is revoked.`,
      ];
}

function reminderCounts({ users, remindersOut }: Plan): { sent: number; now: number } {
  const now = users.flatMap(({ notifications }) =>
    notifications.filter(({ number, maySend }) => number > 0 && maySend),
  );
  return { sent: remindersOut, now: now.length };
}

const mailNames: Readonly<Record<Way, string>> = {
  invitation: "invitations by Clerk",
  "sign-in-link": "mails with a sign-in link, template sign-in-link",
  announcement: "announcements, template announcement",
};

function channelLines(channel: Channel, { users, mails }: Plan, settings: MailTextSettings): string[] {
  const concerned = users.filter(({ way }) => channelOf(way) === channel);
  const now = concerned.filter(isToldNow);
  const waiting = concerned.filter(({ told }) => told === "later");
  const [again, later] = [now.filter(({ told }) => told === "again").length, waiting.length];
  if (now.length + later === 0) return [];
  const pace = paceOf(channel, settings, mails);
  const byWay = ways.flatMap((way) => {
    const count = now.filter((user) => user.way === way).length;
    return count === 0 ? [] : [`${count.toString()} ${mailNames[way]}`];
  });
  return [
    `Mail: ${byWay.length === 0 ? "none now" : byWay.join(", ")}; ${meaningOf([...now, ...waiting])}.`,
    ...(again === 0
      ? []
      : [
          `  ${again.toString()} of them ${again === 1 ? "is" : "are"} sent once more: the address has changed, a decision says so, or the first was never made.`,
        ]),
    "  The page they lead to must hold <SignIn/>: <SignUp/> refuses people who have an account.",
    ...(later === 0 ? [] : [pendingLine(later, channel, pace, mails)]),
  ];
}

/** What the link is for those who get it. */
function meaningOf(told: readonly PlannedUser[]): string {
  const count = told.filter(({ newPassword }) => newPassword !== null).length;
  if (count === 0) return "nobody has to follow the link to go on signing in";
  if (count === told.length) return "the link leads to the first sign-in";
  return `for ${count.toString()} of them the link leads to the first sign-in, nobody else has to follow it`;
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
  return `  ${later.toString()} more are pending: ${problem === "" ? `${limits}.` : problem} ${end}`;
}

function limitText(limit: number): string {
  return limit === Infinity ? "any number" : limit.toString();
}
