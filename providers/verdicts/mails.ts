import { addressOrDomain, domainOf } from "../clerk-user/inputs";
import { isMailHeld, type Ledger, type LedgerNotification, type Way } from "../postgres/ledger";
import { fingerprintOf, type UserRow } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import type { MailFacts } from "../world";
import { type Channel, paceOf, type PaceSettings } from "./pace";

/**
 * sent: is or may be out. now: this run sends it. again: this run sends it once more. later: its turn has not come. never: not
 * to be told.
 */
export type Told = "sent" | "now" | "again" | "later" | "never";

export interface Recipient {
  readonly userId: string;
  /** Lower case. */
  readonly email: string;
  /** Whether the program made the account itself, and nothing blocks it: nobody else is told. */
  readonly isOurs: boolean;
  /** Banned or deleted in the application: not told, and no link stays open. */
  readonly isShutOut: boolean;
  /** reset: whoever has no password in Clerk gets no mail that speaks of one. */
  readonly passwords: "carry" | "reset";
  /** Milliseconds since 1970 of the link; null for those who are linked by this run. */
  readonly linkedAt: number | null;
  /** Milliseconds since 1970 of the last activity, as far as a column says so. */
  readonly lastActiveAt: number | null;
  readonly hasArrived: boolean;
  /** The mail of unknown outcome that a decision sends again: its attempt. */
  readonly resend: number | undefined;
}

export type MailSettings = PaceSettings &
  Pick<
    Settings,
    "notify" | "notifyOnly" | "heldOnly" | "redirectAllMailTo" | "remindAfterDays" | "maxReminders"
  >;

/** What is declared of one mail. */
export interface DeclaredMail {
  readonly number: number;
  /** Higher than the one in the state where there is something to do. */
  readonly attempt: number;
  /** Otherwise it is kept, looked up, or taken back from an address that the user no longer has. */
  readonly maySend: boolean;
}

/** What becomes of one user's mails. */
export interface Turn {
  readonly told: Told;
  /** Fixed when the user is first told, or tried to be. */
  readonly way: Way;
  /** Those that are or may be out, and those that this run sends or takes back, in the order of their numbers. */
  readonly mails: readonly DeclaredMail[];
  /** The reminder that is due and whose turn has not come. */
  readonly isReminderPending: boolean;
  /**
   * A mail went to an address that the user no longer has, or to somebody who is shut out by now, and no new one goes out: its
   * link is revoked.
   */
  readonly takesBack: boolean;
}

export function channelOf(way: Way): Channel {
  return way === "invitation" ? "invitations" : "own";
}

/**
 * Who is told by this run. Mails that are out stay declared whatever the settings of the day; whatever is to be sent follows
 * them, as many as the last hours, the day and the month leave: first what is sent once more, then first mails in the order
 * of the last activity where a column says it, else in that of the migration, then reminders.
 */
export function turns(
  recipients: readonly Recipient[],
  ledger: Pick<Ledger, "notifications" | "reminders">,
  settings: MailSettings,
  facts: MailFacts,
): ReadonlyMap<string, Turn> {
  const only = new Set(settings.notifyOnly.map(addressOrDomain));
  const room = {
    invitations: paceOf("invitations", settings, facts).room,
    own: paceOf("own", settings, facts).room,
  };
  const drafts = recipients.map((recipient) => draftOf(recipient, only, ledger, settings, facts));
  /** Whether this one goes out now. */
  const isItsTurn = ({ way }: Draft) => room[channelOf(way)]-- > 0;

  const waiting = drafts
    .filter(({ mayBeTold }) => mayBeTold)
    .toSorted((a, b) => byTurn(a.recipient, b.recipient));
  for (const wanted of ["again", "first"] as const)
    for (const draft of waiting)
      for (const mail of draft.mails) if (mail.need === wanted) mail.isSent = isItsTurn(draft);
  const due = waiting.flatMap((draft) => {
    const reminder = nextReminder(draft, settings, facts.now);
    return reminder === undefined ? [] : [{ draft, ...reminder }];
  });
  for (const { draft, mail } of due.toSorted((a, b) => a.since - b.since)) {
    if (isItsTurn(draft)) draft.reminder = { ...mail, isSent: true };
    else draft.isReminderPending = true;
  }
  return new Map(drafts.map((draft) => [draft.recipient.userId, turnOf(draft)]));
}

/**
 * What a mail asks for. first: nothing of it is out. again: it has to be sent once more. revoke: it must not stay where it is.
 * nothing: it is out, or may be.
 */
type Need = "first" | "again" | "revoke" | "nothing";

interface DraftMail {
  readonly number: number;
  readonly entry: LedgerNotification | undefined;
  /** Whether it is out, or may be. */
  readonly isOut: boolean;
  /** Whether Clerk has the invitation of which nobody has written down that it went out. */
  readonly isFound: boolean;
  readonly need: Need;
  isSent: boolean;
}

/** A turn while it is being decided. */
interface Draft {
  readonly recipient: Recipient;
  readonly way: Way;
  readonly mayBeTold: boolean;
  /** The first mail, and the reminders that are or may be out. */
  readonly mails: readonly [DraftMail, ...DraftMail[]];
  /** The other reminders on record. */
  readonly notOut: readonly DraftMail[];
  /** One that is due and goes out now. */
  reminder: DraftMail | undefined;
  isReminderPending: boolean;
}

function draftOf(
  recipient: Recipient,
  only: ReadonlySet<string>,
  ledger: Pick<Ledger, "notifications" | "reminders">,
  settings: MailSettings,
  facts: MailFacts,
): Draft {
  const { userId, email } = recipient;
  const way = wayOf(recipient, ledger, settings);
  const isChosen = only.size === 0 || only.has(email) || only.has(domainOf(email));
  // Clerk sends invitations, and redirects none.
  const isRehearsable = settings.redirectAllMailTo === undefined || way !== "invitation";
  const draftMail = (number: number, entry: LedgerNotification | undefined): DraftMail => ({
    number,
    entry,
    isOut: entry !== undefined && isOut(entry, settings),
    isFound: entry !== undefined && facts.found.has(mailKey(entry)),
    need: entry === undefined || !isOut(entry, settings) ? "first" : needOf(entry, recipient, facts),
    isSent: false,
  });
  const reminders = (ledger.reminders.get(userId) ?? []).map((entry) => draftMail(entry.number, entry));
  return {
    recipient,
    way,
    mayBeTold:
      settings.notify !== "none" &&
      !settings.heldOnly &&
      recipient.isOurs &&
      !recipient.isShutOut &&
      isChosen &&
      isRehearsable,
    mails: [draftMail(0, ledger.notifications.get(userId)), ...reminders.filter((mail) => mail.isOut)],
    notOut: reminders.filter((mail) => !mail.isOut),
    reminder: undefined,
    isReminderPending: false,
  };
}

/** Of a mail that is out, or may be. A reminder that went elsewhere is only taken back: whoever is told anew is reminded anew. */
function needOf(
  entry: LedgerNotification,
  { userId, email, isShutOut: isShut, hasArrived, resend }: Recipient,
  { found }: MailFacts,
): Need {
  const isReminder = entry.number > 0;
  if (found.has(mailKey(entry)) || (isReminder && hasArrived)) return "nothing";
  if ((isReminder || isShut) && entry.status === "revoking") return "revoke";
  if (isShut && entry.status === "sent") return hasArrived ? "nothing" : "revoke";
  if (wentElsewhere(entry, userId, email)) return hasArrived ? "nothing" : isReminder ? "revoke" : "again";
  if (entry.status === "revoking") return "first";
  if (isLost(entry)) return resend === entry.attempt ? "again" : "nothing";
  return mayBeOut(entry) ? "again" : "nothing";
}

function turnOf(draft: Draft): Turn {
  const { recipient, way, mails, reminder, isReminderPending } = draft;
  const all = [...mails.filter(({ number }) => number !== reminder?.number), ...(reminder ? [reminder] : [])];
  return {
    told: toldOf(draft),
    way,
    mails: all.flatMap((mail) => declaredMail(mail, recipient)),
    isReminderPending,
    takesBack: all.some(
      ({ entry, need, isSent }) =>
        !isSent &&
        (need === "revoke" ||
          (need !== "nothing" && wentElsewhere(entry, recipient.userId, recipient.email))),
    ),
  };
}

function toldOf({ mails: [{ need, entry, isSent }], mayBeTold }: Draft): Told {
  if (need === "nothing") return "sent";
  if (isSent) return need === "again" ? "again" : "now";
  if (mayBeTold) return "later";
  return entry !== undefined && mayBeOut(entry) ? "sent" : "never";
}

function declaredMail(mail: DraftMail, recipient: Recipient): DeclaredMail[] {
  if (!mail.isSent && !mail.isOut) return [];
  const attempt = (mail.entry?.attempt ?? 1) + step(mail, recipient);
  return [{ number: mail.number, attempt, maySend: mail.isSent }];
}

/** How far the declared attempt is from the ledger's, which has been raised already where something failed. */
function step({ number, entry, isFound, need, isSent }: DraftMail, { userId, email }: Recipient): number {
  if (entry === undefined) return 0;
  // The state has the attempt before: what was looked for in vain, and is not sent, changes nothing.
  if (mayBeOut(entry) && !isLost(entry)) return isSent || isFound ? 0 : -1;
  if (entry.status === "rehearsed" || isLost(entry)) return isSent ? 1 : 0;
  if (entry.status !== "sent") return 0;
  // Of a first mail to somebody who has arrived since, only the new address is noted.
  const isNoted = need === "nothing" && number === 0 && wentElsewhere(entry, userId, email);
  return need === "nothing" && !isNoted ? 0 : 1;
}

function wayOf(
  { userId, passwords }: Recipient,
  { notifications }: Pick<Ledger, "notifications">,
  { notify }: Pick<Settings, "notify">,
): Way {
  const before = notifications.get(userId)?.way;
  if (before !== undefined) return before;
  if (notify === "none") return "invitation";
  return notify === "announcement" && passwords === "reset" ? "sign-in-link" : notify;
}

function byTurn(a: Recipient, b: Recipient): number {
  const activity = (b.lastActiveAt ?? 0) - (a.lastActiveAt ?? 0);
  if (activity !== 0) return activity;
  const [first, second] = [a.linkedAt ?? Infinity, b.linkedAt ?? Infinity];
  return first === second ? 0 : first - second;
}

const DAY = 24 * 3_600_000;

/** Whoever was told that long ago and has not arrived. A mail of unknown outcome is followed by none. */
function nextReminder(
  { recipient, mails, notOut }: Draft,
  { remindAfterDays, maxReminders }: Pick<Settings, "remindAfterDays" | "maxReminders">,
  now: number,
): { readonly mail: DraftMail; readonly since: number } | undefined {
  if (remindAfterDays === 0 || recipient.hasArrived || mails[0].need !== "nothing") return undefined;
  const last = mails.findLast(({ need }) => need !== "revoke");
  if (last?.entry?.status !== "sent" || last.entry.sentAt === null) return undefined;
  const number = last.number + 1;
  const since = last.entry.sentAt.getTime();
  if (number > maxReminders || now - since < remindAfterDays * DAY) return undefined;
  const before = [...mails, ...notOut].find((mail) => mail.number === number);
  const mail = before ?? {
    number,
    entry: undefined,
    isOut: false,
    isFound: false,
    need: "first",
    isSent: false,
  };
  return { mail, since };
}

/** A rehearsed mail is out for as long as the rehearsal lasts, and one whose revocation was cut off may be. */
function isOut(entry: LedgerNotification, settings: Pick<Settings, "redirectAllMailTo">): boolean {
  if (isMailHeld(entry) || entry.status === "revoking") return true;
  return entry.status === "rehearsed" && settings.redirectAllMailTo !== undefined;
}

/** Whether the application lets nobody in by this row. */
export function isShutOut({ isBanned, isDeleted }: Pick<UserRow, "isBanned" | "isDeleted">): boolean {
  return isBanned || isDeleted;
}

/** Whether nobody has written down if this mail went out. */
export function mayBeOut({ status }: Pick<LedgerNotification, "status">): boolean {
  return status === "sending" || status === "unknown";
}

/** Whether a mail that is out went to another address than the user has now. */
export function wentElsewhere(
  entry: Pick<LedgerNotification, "status" | "emailFingerprint"> | undefined,
  userId: string,
  email: string,
): boolean {
  if (entry?.emailFingerprint == null) return false;
  // One whose revocation was cut off may still be open.
  const isOut = entry.status === "sent" || entry.status === "revoking";
  return isOut && entry.emailFingerprint !== fingerprintOf(userId, email);
}

/** Whether nobody knows if this mail went out, and nobody can be asked. */
export function isLost(entry: Pick<LedgerNotification, "way" | "status">): boolean {
  return entry.way !== "invitation" && mayBeOut(entry);
}

/** One mail of one user. */
export function mailKey({ userId, number }: Pick<LedgerNotification, "userId" | "number">): string {
  return `${userId}/${number.toString()}`;
}
