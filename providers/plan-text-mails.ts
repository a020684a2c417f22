import { counted } from "./counted";
import type { Plan } from "./planned";
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
  Pick<Settings, "passwords" | "notify" | "redirectAllMailTo" | "remindAfterDays">;

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
  if (settings.notify === "none") return ["Mail: none; nobody is told.", ...lost];
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

function channelLines(channel: Channel, { users, mails }: Plan, settings: MailTextSettings): string[] {
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
