import { addressOrDomain, domainOf } from "../clerk-user/inputs";
import { isMailHeld, type Ledger, type LedgerInvitation } from "../postgres/ledger";
import { fingerprintOf } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import type { MailFacts } from "../world";

/** Clerk's limits (clerk.com/docs, system limits; test e-mails): the second are dropped without a word beyond it. */
const INVITATIONS_PER_HOUR = 100;
export const DEVELOPMENT_MAILS_PER_MONTH = 100;

/** sent: is or may be out. now: this run sends it. later: its turn has not come. never: not to be told. */
export type Told = "sent" | "now" | "later" | "never";

export interface Recipient {
  readonly userId: string;
  /** Lower case. */
  readonly email: string;
  /** Whether the program declares the user at all, and made the account itself. */
  readonly isOurs: boolean;
  /** Milliseconds since 1970 of the link; null for those who are linked by this run. */
  readonly linkedAt: number | null;
}

type MailSettings = Pick<Settings, "notify" | "notifyOnly" | "heldOnly" | "invitationsPerHour">;

/**
 * Who is told by this run. Mails that are out stay declared whatever the settings of the day; new ones follow them, as
 * many as the last hour and the month leave, in the order in which the users were migrated.
 */
export function turns(
  recipients: readonly Recipient[],
  ledger: Pick<Ledger, "invitations">,
  settings: MailSettings,
  facts: MailFacts,
): ReadonlyMap<string, Told> {
  const told = new Map<string, Told>();
  const waiting: Recipient[] = [];
  const only = new Set(settings.notifyOnly.map(addressOrDomain));
  for (const recipient of recipients) {
    const { userId, email } = recipient;
    const entry = ledger.invitations.get(userId);
    const isChosen = only.size === 0 || only.has(email) || only.has(domainOf(email));
    if (entry !== undefined && isMailHeld(entry)) told.set(userId, "sent");
    else if (settings.notify === "none" || settings.heldOnly || !recipient.isOurs || !isChosen)
      told.set(userId, "never");
    else waiting.push(recipient);
  }
  const order = (recipient: Recipient) => recipient.linkedAt ?? Infinity;
  const room = mailRoom(settings, facts);
  waiting
    .toSorted((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b)))
    .forEach(({ userId }, position) => told.set(userId, position < room ? "now" : "later"));
  return told;
}

export function invitationsPerHour(settings: Pick<Settings, "invitationsPerHour">): number {
  return settings.invitationsPerHour || INVITATIONS_PER_HOUR;
}

/** How many mails may go out now. */
function mailRoom(settings: Pick<Settings, "invitationsPerHour">, facts: MailFacts): number {
  const byHour = invitationsPerHour(settings) - facts.lastHour;
  const byMonth = facts.thisMonth === null ? Infinity : DEVELOPMENT_MAILS_PER_MONTH - facts.thisMonth;
  return Math.max(0, Math.min(byHour, byMonth));
}

/** Hours until the last of these mails is out, if a run comes by every hour. */
export function hoursToSend(mails: number, settings: Pick<Settings, "invitationsPerHour">): number {
  return Math.ceil(mails / invitationsPerHour(settings));
}

/** The same, but null where the month does not hold them. */
export function hoursFor(
  mails: number,
  settings: Pick<Settings, "invitationsPerHour">,
  { thisMonth }: Pick<MailFacts, "thisMonth">,
): number | null {
  const fits = thisMonth === null || mails <= DEVELOPMENT_MAILS_PER_MONTH - thisMonth;
  return fits ? hoursToSend(mails, settings) : null;
}

/** Whether a mail that is out went to another address than the user has now. */
export function wentElsewhere(
  entry: Pick<LedgerInvitation, "status" | "emailFingerprint"> | undefined,
  userId: string,
  email: string,
): boolean {
  if (entry?.emailFingerprint == null) return false;
  // One whose revocation was cut off may still be open.
  const isOut = entry.status === "sent" || entry.status === "revoking";
  return isOut && entry.emailFingerprint !== fingerprintOf(userId, email);
}
