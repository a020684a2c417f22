import type { Clerk, Instance } from "./clerk/client";
import { type ClerkInvitation, isOurMark } from "./clerk/user";
import { normalEmail } from "./clerk-user/inputs";
import { MigrationError } from "./errors";
import { type Finding, finding } from "./findings";
import { openMailer } from "./mail/mailer";
import { explainOutcome } from "./mail/outcome";
import { findInvitation } from "./notification/invitation";
import { noPage } from "./notification/way";
import type { Connection } from "./postgres/database";
import { type MailTimes, mailTimes } from "./postgres/ledger-notifications";
import type { Settings } from "./settings";
import { mailKey, mayBeOut } from "./verdicts/mails";
import type { MailFacts, Records, Sent } from "./world";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MONTH = 31 * DAY;

export async function readMailTimes(
  connection: Connection,
  instanceId: string,
  now: number,
): Promise<MailTimes> {
  return mailTimes(connection, instanceId, new Date(now - MONTH));
}

interface Observed {
  readonly facts: MailFacts;
  readonly findings: readonly Finding[];
}

/** `invitations`: the newest of the instance. They are counted on both sides, and the larger number taken: the dashboard and the application send some, too. */
export async function observeMails(
  clerk: Clerk,
  instance: Instance,
  times: MailTimes,
  settings: Settings,
  records: Records,
  invitations: readonly ClerkInvitation[],
): Promise<Observed> {
  const { now } = records;
  const found = await lookUp(clerk, records);
  const byClerk = invitations.map(({ createdAt }) => createdAt);
  const both = (since: number) => larger(sent(times.invitations, since, now), sent(byClerk, since, now));
  const today = new Date(now);
  const month = Date.UTC(today.getUTCFullYear(), today.getUTCMonth());
  const server = await checkServer(settings, records);
  return {
    facts: {
      invitations: {
        hour: both(now - HOUR),
        day: both(now - DAY),
        thisMonth: instance.kind === "development" ? both(month).count : null,
        problem: "",
      },
      own: {
        hour: sent(times.own, now - HOUR, now),
        day: sent(times.own, now - DAY, now),
        thisMonth: null,
        problem: server?.status === "problem" ? `${server.sentence} ${server.remedy}` : "",
      },
      firstOwn: times.firstOwn,
      found,
      invitedByOthers: new Set(
        invitations.flatMap(({ status, mark, emailAddress }) =>
          status === "pending" && !isOurMark(mark, records) ? [emailAddress.toLowerCase()] : [],
        ),
      ),
      now,
    },
    findings: [
      ...(server === undefined || settings.notify === "invitation" ? [] : [server]),
      ...redirectFindings(instance, settings),
    ],
  };
}

/** Which invitations went out of which nobody has written that down: asked one by one, since few runs are cut off. */
async function lookUp(clerk: Clerk, records: Records): Promise<Set<string>> {
  const { ledger, rows, decisions } = records;
  const open = [...ledger.notifications.values(), ...[...ledger.reminders.values()].flat()].filter(
    (mail) => mail.way === "invitation" && (mayBeOut(mail) || mail.status === "revoking"),
  );
  if (open.length === 0) return new Set();
  const emails = new Map(rows.map(({ userId, email }) => [userId, email]));
  const found = await Promise.all(
    open.map(async ({ userId, number }) => {
      const email = normalEmail(decisions.get(userId)?.email ?? emails.get(userId) ?? "");
      const mail = { userId, number };
      const id = email === "" ? undefined : await findInvitation(clerk, records, mail, email);
      return id === undefined ? [] : [mailKey(mail)];
    }),
  );
  return new Set(found.flat());
}

function sent(times: readonly number[], since: number, until: number): Sent {
  const within = times.filter((time) => time > since && time <= until);
  return {
    count: within.length,
    oldest: within.length === 0 ? null : within.reduce((a, b) => Math.min(a, b)),
  };
}

function larger(ours: Sent, theirs: Sent): Sent {
  const oldest = Math.min(ours.oldest ?? Infinity, theirs.oldest ?? Infinity);
  return { count: Math.max(ours.count, theirs.count), oldest: Number.isFinite(oldest) ? oldest : null };
}

/** How long a dry run waits for a server that does not answer. */
const PATIENCE_MS = 10_000;

/**
 * undefined where no mail of our own is to be sent. Throws where a setting is missing, or a template is wrong; but whoever was
 * told by such a mail stays with that way, though the stack invites by now, and nobody else has to care.
 */
async function checkServer(
  settings: Settings,
  { ledger }: Pick<Records, "ledger">,
): Promise<Finding | undefined> {
  const { notify, heldOnly } = settings;
  if (heldOnly || notify === "none") return undefined;
  if (notify !== "invitation") return askServer(settings);
  if ([...ledger.notifications.values()].every(({ way }) => way === "invitation")) return undefined;
  try {
    if (settings.clerkInviteRedirectUrl === undefined) throw noPage();
    return await askServer(settings);
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    return finding("mail/server", "problem", error.reason, error.remedy);
  }
}

async function askServer(settings: Settings): Promise<Finding> {
  const mailer = openMailer(settings, PATIENCE_MS);
  try {
    const outcome = await mailer.check();
    if (outcome.outcome === "accepted")
      return finding("mail/server", "ok", "The mail server is there and takes the login.");
    const { reason, remedy } = explainOutcome(outcome);
    return finding("mail/server", "problem", `Nobody can be told now: ${lowerFirst(reason)}`, remedy);
  } finally {
    mailer.close();
  }
}

function lowerFirst(sentence: string): string {
  return sentence.slice(0, 1).toLowerCase() + sentence.slice(1);
}

/** Clerk refuses to lead to a page whose origin is not among those that the instance allows, where it names any. */
function redirectFindings(
  { allowedOrigins }: Instance,
  { notify, clerkInviteRedirectUrl }: Pick<Settings, "notify" | "clerkInviteRedirectUrl">,
): Finding[] {
  if (notify === "none" || clerkInviteRedirectUrl === undefined || allowedOrigins.length === 0) return [];
  const { origin } = new URL(clerkInviteRedirectUrl);
  if (allowedOrigins.includes(origin)) return [];
  return [
    finding(
      "mail/redirect",
      "problem",
      `CLERK_INVITE_REDIRECT_URL leads to ${origin}, which is not among the instance's allowed origins (${allowedOrigins.join(", ")}).`,
      "Add it there (Clerk's API, PATCH /instance), or correct the address.",
    ),
  ];
}
