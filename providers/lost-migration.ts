import type { ClerkFacts } from "./clerk/facts";
import { type ClerkInvitation, type ClerkUser, isOurMark, isOurs, type MarkOwner } from "./clerk/user";
import { normalEmail } from "./clerk-user/inputs";
import { counted } from "./counted";
import { MigrationError } from "./errors";
import { firstFew } from "./first-few";
import { resendRemedy } from "./notification/way";
import { isHeld, type Ledger, type LedgerNotification, type Way } from "./postgres/ledger";
import type { LostMail } from "./postgres/ledger-lost-mails";
import { fingerprintOf, type UserRow } from "./postgres/legacy-users";
import type { Records } from "./world";

/** What Clerk says of people, where a row's link or id may lead to one. */
type People = Pick<ClerkFacts, "byId" | "byExternalId">;

/** To whom a row leads in Clerk: by its link, or else by its id. */
function liveOf({ byId, byExternalId }: People, { userId, clerkUserId }: UserRow): ClerkUser | undefined {
  return (clerkUserId === null ? undefined : byId.get(clerkUserId)) ?? byExternalId.get(userId);
}

/**
 * The `attempt` of what a ledger has forgotten. The state may say any number that was: the time, in seconds, is none of them.
 */
export function forgottenAttempt(now: number): number {
  return Math.floor(now / 1000);
}

/**
 * The migration id of a ledger that is gone, from the marks of those who carry a row's id: the one that most of them have.
 * Empty where nobody has any.
 */
export function migrationIdInMarks(rows: readonly UserRow[], people: People): string {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const live = liveOf(people, row);
    const id = live?.externalId === row.userId ? live.mark?.migration : undefined;
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a);
  return most?.[0] ?? "";
}

/** Whom this migration has made and its ledger does not hold: by `user_id`. */
export function forgottenUsers(
  { rows, ledger }: Pick<Records, "rows" | "ledger">,
  people: People,
  owner: MarkOwner,
): ReadonlySet<string> {
  const forgotten = rows.filter((row) => {
    const entry = ledger.users.get(row.userId);
    if (entry !== undefined && isHeld(entry)) return false;
    const live = liveOf(people, row);
    return live !== undefined && isOurs(live, row.userId, owner);
  });
  return new Set(forgotten.map(({ userId }) => userId));
}

/** What of a world tells whom its ledger has forgotten. */
export type Remembered = Records & { readonly clerk: People };

const SHOWN = 5;

/** What to say where the ledger does not hold everybody whom this stack has made; undefined where it does. */
export function ledgerForgets(world: Remembered): MigrationError | undefined {
  const userIds = [...forgottenUsers(world, world.clerk, world)];
  if (userIds.length === 0) return undefined;
  return new MigrationError(
    "ledger-forgets",
    `The ledger of ${world.stack} does not know ${counted(userIds.length, "user")} whom this stack has made, as their marks in Clerk say: ${firstFew(userIds, SHOWN)}. It was dropped, or is from an older backup, or DATABASE_URL leads to another database.`,
    "Correct DATABASE_URL; or restore the schema clerk_migration from its newest backup; or run `npm run up`, which takes up whom links and marks name.",
  );
}

/** What the ledger has forgotten of mails, as it would be on record. */
export interface ForgottenMails {
  readonly ledger: Ledger;
  /** What is to be put on record again, before anything is declared. */
  readonly forgotten: readonly LedgerNotification[];
}

/** Of what a ledger has lost of mails: those of people whom it holds, and of people whom it has forgotten as well. */
export function lostMailsOf(
  lost: readonly LostMail[],
  { users }: Ledger,
  forgotten: ReadonlySet<string>,
): LostMail[] {
  return lost.filter(({ userId }) => {
    const entry = users.get(userId);
    return forgotten.has(userId) || (entry !== undefined && isHeld(entry));
  });
}

/**
 * Puts into the ledger what it has forgotten: our invitations that Clerk has and it has not, the newest of each mail; what its
 * append-only list knows to have left; and of users whom it has forgotten, what nobody can look up, mails of our own, as
 * unknown. `way` is how the stack tells users; undefined where it tells nobody.
 */
export function withForgottenMails(
  {
    rows,
    ledger,
    decisions,
    stack,
    clerkInstanceId,
    now,
  }: Pick<Records, "rows" | "ledger" | "decisions" | "stack" | "clerkInstanceId" | "now">,
  users: ReadonlySet<string>,
  lost: readonly LostMail[],
  invitations: readonly ClerkInvitation[],
  owner: MarkOwner,
  way: Way | undefined,
): ForgottenMails {
  const attempt = forgottenAttempt(now);
  const forgotten: LedgerNotification[] = [];
  const notifications = new Map(ledger.notifications);
  const reminders = new Map(ledger.reminders);
  const isKnown = (userId: string, number: number) =>
    number === 0
      ? notifications.has(userId)
      : (reminders.get(userId) ?? []).some((reminder) => reminder.number === number);
  const remember = (mail: Omit<LedgerNotification, "stack" | "clerkInstanceId" | "attempt">) => {
    const entry = { ...mail, stack, clerkInstanceId, attempt };
    forgotten.push(entry);
    if (entry.number === 0) notifications.set(entry.userId, entry);
    else {
      const all = [...(reminders.get(entry.userId) ?? []), entry];
      reminders.set(
        entry.userId,
        all.toSorted((a, b) => a.number - b.number),
      );
    }
  };
  for (const { id, mark, emailAddress, createdAt } of invitations.toSorted(
    (a, b) => b.createdAt - a.createdAt,
  )) {
    if (mark === null || !isOurMark(mark, owner) || isKnown(mark.userId, mark.number)) continue;
    const { userId, number } = mark;
    remember({
      ...{ userId, number, way: "invitation", status: "sent", credentialId: id, failure: null },
      emailFingerprint: fingerprintOf(userId, normalEmail(emailAddress)),
      sentAt: new Date(createdAt),
    });
  }
  const failureOf = (userId: string) => ({
    code: "mail-forgotten",
    reason: `User ${userId}: the ledger has been lost, and a mail server cannot be asked whether a mail went out.`,
    remedy: resendRemedy(attempt),
  });
  const emails = new Map(rows.map(({ userId, email }) => [userId, email ?? ""]));
  for (const { userId, number, way: wayThen, at, outcome, isTakenBack } of lost) {
    if (isKnown(userId, number)) continue;
    // Clerk would have the invitation. Where a mail of our own went is not on that list: to the address of today, then.
    const isOut = wayThen !== "invitation" && !isTakenBack && outcome !== "failed" && outcome !== "rehearsed";
    const status = !isOut ? "failed" : outcome === "sent" ? "sent" : "unknown";
    remember({
      ...{ userId, number, way: wayThen, status, credentialId: null },
      failure: status === "unknown" ? failureOf(userId) : null,
      emailFingerprint:
        status === "sent"
          ? fingerprintOf(userId, normalEmail(decisions.get(userId)?.email ?? emails.get(userId) ?? ""))
          : null,
      sentAt: status === "sent" ? at : null,
    });
  }
  for (const userId of users) {
    if (isKnown(userId, 0) || way === undefined) continue;
    // Clerk would have the invitation. A mail of our own may have gone out, and a mail server cannot be asked.
    const isOwn = way !== "invitation";
    const failure = failureOf(userId);
    remember({
      ...{ userId, number: 0, way, status: isOwn ? "unknown" : "failed", failure: isOwn ? failure : null },
      ...{ credentialId: null, emailFingerprint: null, sentAt: null },
    });
  }
  return { ledger: { ...ledger, notifications, reminders }, forgotten };
}
