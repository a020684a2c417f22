import type { ClerkUserInputs } from "./clerk-user/inputs";
import type { NotificationInputs } from "./notification/inputs";
import type { JudgedUser, MailPart } from "./planned";
import { isMailHeld, type Ledger, type LedgerNotification, type Way } from "./postgres/ledger";
import { isLost, isRepeated, type Turn, turns } from "./verdicts/mails";
import { rowsById } from "./verdicts/same-id";
import type { PlanSettings, Records, World } from "./world";

/** Whom this run tells. Whoever is adopted has an account already. */
export function withMails(
  world: World,
  settings: PlanSettings,
  users: readonly JudgedUser[],
): (JudgedUser & MailPart)[] {
  const rows = rowsById(world);
  const recipients = users.flatMap(({ userId, verdict, declared }) => {
    if (declared === null || declared.isKept) return [];
    const entry = world.ledger.users.get(userId);
    const isAdopted = verdict === "adopt" || entry?.origin === "adopted";
    const lastActiveAt = rows.get(userId)?.lastActiveAt ?? null;
    return [
      {
        userId,
        email: declared.profile.email,
        isOurs: !isAdopted,
        passwords: declared.passwords,
        linkedAt: entry?.linkedAt?.getTime() ?? null,
        lastActiveAt: lastActiveAt === null ? null : Date.parse(lastActiveAt),
        hasArrived: entry?.clerkUserId != null && world.arrivals.has(entry.clerkUserId),
      },
    ];
  });
  const all = turns(recipients, world.ledger, settings, world.mails);
  return users.map((user) => {
    const { declared } = user;
    if (declared?.isKept === true) return { ...user, ...asRecorded(world, declared) };
    const turn = (declared === null ? undefined : all.get(user.userId)) ?? nobody;
    const isTold = turn.told === "sent" || turn.told === "now";
    const numbers = [...(isTold ? [0] : []), ...turn.reminders];
    const isInvited = turn.told === "now" && world.mails.invitedByOthers.has(declared?.profile.email ?? "");
    return {
      ...user,
      notes: isInvited ? [...user.notes, "invited-by-others"] : user.notes,
      told: turn.told,
      way: turn.way,
      notifications:
        declared === null ? [] : numbers.map((number) => mailTo(world, settings, declared, turn.way, number)),
      isReminderPending: turn.isReminderPending,
      unknownMail: unknownMailOf(world.ledger, user.userId)?.attempt ?? 0,
    };
  });
}

const nobody: Turn = { told: "never", way: "invitation", reminders: [], isReminderPending: false };

/** The mails of somebody whose row is gone: what is out stays declared as it is, and nothing more is sent. */
function asRecorded({ ledger }: Records, user: ClerkUserInputs): MailPart {
  const { userId, label, stack, migrationId } = user;
  const first = ledger.notifications.get(userId);
  const out = [...(first === undefined ? [] : [first]), ...(ledger.reminders.get(userId) ?? [])].filter(
    isMailHeld,
  );
  return {
    told: first !== undefined && isMailHeld(first) ? "sent" : "never",
    way: first?.way ?? nobody.way,
    notifications: out.map(({ number, way, attempt }) => ({
      ...{ userId, number, way, label, stack, migrationId, attempt },
      ...{ email: "", decidedEmail: "", redirectUrl: "" },
    })),
    isReminderPending: false,
    unknownMail: unknownMailOf(ledger, userId)?.attempt ?? 0,
  };
}

function mailTo(
  world: World,
  settings: PlanSettings,
  user: ClerkUserInputs,
  way: Way,
  number: number,
): NotificationInputs {
  const { userId, label, stack, migrationId, decidedEmail } = user;
  const { email } = user.profile;
  const entry =
    number === 0
      ? world.ledger.notifications.get(userId)
      : world.ledger.reminders.get(userId)?.find((reminder) => reminder.number === number);
  const resend = world.decisions.get(userId)?.resend;
  return {
    ...{ userId, number, way, label, stack, migrationId, email, decidedEmail },
    redirectUrl: settings.clerkInviteRedirectUrl ?? "",
    attempt:
      (entry?.attempt ?? 1) + (entry !== undefined && isRepeated(entry, email, resend, settings) ? 1 : 0),
  };
}

function unknownMailOf(ledger: Ledger, userId: string): LedgerNotification | undefined {
  return [ledger.notifications.get(userId), ...(ledger.reminders.get(userId) ?? [])].find(
    (mail) => mail !== undefined && isLost(mail),
  );
}
