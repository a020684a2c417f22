import type { Clerk, Instance } from "./clerk/client";
import { isOurMark } from "./clerk/user";
import { type Finding, finding } from "./findings";
import { openMailer } from "./mail/mailer";
import { explainOutcome } from "./mail/outcome";
import type { Connection } from "./postgres/database";
import { type MailTimes, mailTimes } from "./postgres/ledger-notifications";
import type { Settings } from "./settings";
import type { MailFacts, Sent, World } from "./world";

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

/** Invitations are counted on both sides, and the larger number taken: the dashboard and the application send some, too. */
export async function observeMails(
  clerk: Clerk,
  instance: Instance,
  times: MailTimes,
  settings: Settings,
  owner: Pick<World, "migrationId" | "stacks" | "now">,
): Promise<Observed> {
  const { now } = owner;
  const invitations = await clerk.recentInvitations();
  const byClerk = invitations.map(({ createdAt }) => createdAt);
  const both = (since: number) => larger(sent(times.invitations, since, now), sent(byClerk, since, now));
  const today = new Date(now);
  const month = Date.UTC(today.getUTCFullYear(), today.getUTCMonth());
  const server = await checkServer(settings);
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
        problem: server?.status === "problem" ? server.sentence : "",
      },
      firstOwn: times.firstOwn,
      invitedByOthers: new Set(
        invitations.flatMap(({ status, mark, emailAddress }) =>
          status === "pending" && !isOurMark(mark, owner) ? [emailAddress.toLowerCase()] : [],
        ),
      ),
      now,
    },
    findings: [...(server === undefined ? [] : [server]), ...redirectFindings(instance, settings)],
  };
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

/** undefined where no mail of our own is to be sent. Throws where a setting is missing, or a template is wrong. */
async function checkServer(settings: Settings): Promise<Finding | undefined> {
  const { notify, heldOnly } = settings;
  if (heldOnly || notify === "none" || notify === "invitation") return undefined;
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
