import { addressOrDomain, domainOf } from "../clerk-user/inputs";
import { isMailHeld, type Ledger, type LedgerNotification, type Way } from "../postgres/ledger";
import { fingerprintOf } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import type { MailFacts } from "../world";
import { type Channel, paceOf, type PaceSettings } from "./pace";

/** sent: is or may be out. now: this run sends it. later: its turn has not come. never: not to be told. */
export type Told = "sent" | "now" | "later" | "never";

export interface Recipient {
  readonly userId: string;
  /** Lower case. */
  readonly email: string;
  /** Whether the program declares the user at all, and made the account itself. */
  readonly isOurs: boolean;
  /** reset: whoever has no password in Clerk gets no mail that speaks of one. */
  readonly passwords: "carry" | "reset";
  /** Milliseconds since 1970 of the link; null for those who are linked by this run. */
  readonly linkedAt: number | null;
  /** Milliseconds since 1970 of the last activity, as far as a column says so. */
  readonly lastActiveAt: number | null;
  readonly hasArrived: boolean;
}

export type MailSettings = PaceSettings &
  Pick<
    Settings,
    "notify" | "notifyOnly" | "heldOnly" | "redirectAllMailTo" | "remindAfterDays" | "maxReminders"
  >;

/** What becomes of one user's mails. */
export interface Turn {
  readonly told: Told;
  /** Fixed when the user is first told, or tried to be. */
  readonly way: Way;
  /** The numbers of the reminders that are out, or go out now. */
  readonly reminders: readonly number[];
  /** The reminder that is due and whose turn has not come. */
  readonly isReminderPending: boolean;
}

export function channelOf(way: Way): Channel {
  return way === "invitation" ? "invitations" : "own";
}

/**
 * Who is told by this run. Mails that are out stay declared whatever the settings of the day; new ones follow them, as
 * many as the last hours, the day and the month leave, in the order of the last activity where a column says it, else in that
 * of the migration. Reminders come after them.
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
  const takeRoom = (way: Way) => room[channelOf(way)]-- > 0;
  const drafts = recipients.map((recipient) => {
    const { userId, email } = recipient;
    const way = wayOf(recipient, ledger, settings);
    const entry = ledger.notifications.get(userId);
    const held = (ledger.reminders.get(userId) ?? []).filter(
      (mail) => isOut(mail, settings) && !wentElsewhere(mail, userId, email),
    );
    const isChosen = only.size === 0 || only.has(email) || only.has(domainOf(email));
    const mayBeTold = settings.notify !== "none" && !settings.heldOnly && recipient.isOurs && isChosen;
    const isTold = entry !== undefined && isOut(entry, settings);
    // These may go out once more, and take the room of others then.
    if (isTold && (wentElsewhere(entry, userId, email) || (way === "invitation" && entry.status !== "sent")))
      takeRoom(way);
    const turn: Draft = {
      told: isTold ? "sent" : "never",
      way,
      reminders: held.map(({ number }) => number),
      isReminderPending: false,
    };
    const isWaiting = !isTold && mayBeTold;
    const due = isTold && mayBeTold ? nextReminder(recipient, entry, held, settings, facts.now) : undefined;
    return { recipient, turn, isWaiting, due };
  });
  const waiting = drafts.filter(({ isWaiting }) => isWaiting);
  for (const { turn } of waiting.toSorted((a, b) => byTurn(a.recipient, b.recipient)))
    turn.told = takeRoom(turn.way) ? "now" : "later";
  const reminders = drafts.flatMap(({ turn, due }) => (due === undefined ? [] : [{ turn, ...due }]));
  for (const { turn, number } of reminders.toSorted((a, b) => a.since - b.since)) {
    if (takeRoom(turn.way)) turn.reminders.push(number);
    else turn.isReminderPending = true;
  }
  return new Map(drafts.map(({ recipient, turn }) => [recipient.userId, turn]));
}

/** A turn while it is being decided. */
interface Draft extends Turn {
  told: Told;
  readonly reminders: number[];
  isReminderPending: boolean;
}

/** A rehearsed mail is out for as long as the rehearsal lasts. */
function isOut(entry: LedgerNotification, settings: Pick<Settings, "redirectAllMailTo">): boolean {
  return isMailHeld(entry) || (entry.status === "rehearsed" && settings.redirectAllMailTo !== undefined);
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
  { hasArrived }: Recipient,
  first: LedgerNotification,
  reminders: readonly LedgerNotification[],
  { remindAfterDays, maxReminders }: Pick<Settings, "remindAfterDays" | "maxReminders">,
  now: number,
): { readonly number: number; readonly since: number } | undefined {
  const last = reminders.at(-1) ?? first;
  if (remindAfterDays === 0 || hasArrived || last.status !== "sent" || last.sentAt === null) return undefined;
  const number = last.number + 1;
  const since = last.sentAt.getTime();
  return number <= maxReminders && now - since >= remindAfterDays * DAY ? { number, since } : undefined;
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
export function isLost({ way, status }: LedgerNotification): boolean {
  return way !== "invitation" && (status === "sending" || status === "unknown");
}

/** Whether a mail on record is to be sent once more: elsewhere, on a decision, or after a rehearsal. */
export function isRepeated(
  entry: LedgerNotification,
  email: string,
  resend: number | undefined,
  settings: Pick<Settings, "redirectAllMailTo">,
): boolean {
  if (entry.status === "rehearsed") return settings.redirectAllMailTo === undefined;
  if (isLost(entry)) return resend === entry.attempt;
  return wentElsewhere(entry, entry.userId, email);
}
