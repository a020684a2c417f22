import type { ClerkFacts } from "./clerk/facts";
import { type ClerkInvitation, isOurMark, isOurs, type MarkOwner } from "./clerk/user";
import { counted } from "./counted";
import { MigrationError } from "./errors";
import { firstFew } from "./first-few";
import { isHeld, type Ledger, type LedgerNotification, type Way } from "./postgres/ledger";
import type { UserRow } from "./postgres/legacy-users";
import { mailKey } from "./verdicts/mails";
import type { Records } from "./world";

/**
 * The migration id of a ledger that is gone, from the marks of those who carry a row's id: the one that most of them have.
 * Empty where nobody has any.
 */
export function migrationIdInMarks(
  rows: readonly UserRow[],
  { byId, byExternalId }: Pick<ClerkFacts, "byId" | "byExternalId">,
): string {
  const counts = new Map<string, number>();
  for (const { userId, clerkUserId } of rows) {
    const live = (clerkUserId === null ? undefined : byId.get(clerkUserId)) ?? byExternalId.get(userId);
    const id = live?.externalId === userId ? live.mark?.migration : undefined;
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a);
  return most?.[0] ?? "";
}

/** Whom this migration has made and its ledger does not hold: by `user_id`. */
export function forgottenUsers(
  { rows, ledger }: Pick<Records, "rows" | "ledger">,
  { byId, byExternalId }: Pick<ClerkFacts, "byId" | "byExternalId">,
  owner: MarkOwner,
): ReadonlySet<string> {
  const forgotten = rows.filter(({ userId, clerkUserId }) => {
    const entry = ledger.users.get(userId);
    if (entry !== undefined && isHeld(entry)) return false;
    const live = (clerkUserId === null ? undefined : byId.get(clerkUserId)) ?? byExternalId.get(userId);
    return live !== undefined && isOurs(live, userId, owner);
  });
  return new Set(forgotten.map(({ userId }) => userId));
}

/** What of a world tells whom its ledger has forgotten. */
export type Remembered = Records & { readonly clerk: Pick<ClerkFacts, "byId" | "byExternalId"> };

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

/** What Clerk knows of mails that the ledger has forgotten. */
export interface ForgottenMails {
  /** With an entry for each of them, so that it is looked up rather than sent again. */
  readonly ledger: Ledger;
  /** Those that Clerk has, by `mailKey`. */
  readonly found: ReadonlySet<string>;
}

/**
 * Puts into the ledger what it has forgotten: our invitations that Clerk has and it has not, and what nobody can look up, mails
 * of our own to users whom it has forgotten, as unknown. `way` is how the stack tells users; undefined where it tells nobody.
 */
export function withForgottenMails(
  records: Pick<Records, "ledger" | "stack" | "clerkInstanceId" | "now">,
  forgotten: ReadonlySet<string>,
  invitations: readonly ClerkInvitation[],
  owner: MarkOwner,
  way: Way | undefined,
): ForgottenMails {
  const { ledger, stack, clerkInstanceId, now } = records;
  const entry = (
    userId: string,
    number: number,
    changes: Pick<LedgerNotification, "way" | "status">,
  ): LedgerNotification => ({
    ...{ userId, number, stack, clerkInstanceId, ...changes },
    ...{ credentialId: null, emailFingerprint: null, sentAt: null, failure: null },
    // The state may say any number that was: the time is none of them.
    attempt: Math.floor(now / 1000),
  });
  const found = new Set<string>();
  const notifications = new Map(ledger.notifications);
  const reminders = new Map(ledger.reminders);
  for (const { mark } of invitations) {
    if (mark === null || !isOurMark(mark, owner)) continue;
    const { userId, number } = mark;
    const earlier = reminders.get(userId) ?? [];
    const isKnown =
      number === 0 ? notifications.has(userId) : earlier.some((reminder) => reminder.number === number);
    if (isKnown) continue;
    const mail = entry(userId, number, { way: "invitation", status: "unknown" });
    found.add(mailKey(mail));
    if (number === 0) notifications.set(userId, mail);
    else
      reminders.set(
        userId,
        [...earlier, mail].toSorted((a, b) => a.number - b.number),
      );
  }
  for (const userId of forgotten) {
    if (notifications.has(userId) || way === undefined) continue;
    // Clerk would have the invitation. A mail of our own may have gone out.
    const status = way === "invitation" ? "failed" : "unknown";
    notifications.set(userId, entry(userId, 0, { way, status }));
  }
  return { ledger: { ...ledger, notifications, reminders }, found };
}
