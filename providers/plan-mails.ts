import type { ClerkUserInputs } from "./clerk-user/inputs";
import type { NotificationInputs } from "./notification/inputs";
import { isToldNow, type JudgedUser, type MailPart } from "./planned";
import { isMailHeld, type Ledger, type LedgerNotification, type Way } from "./postgres/ledger";
import { type DeclaredMail, isLost, isShutOut, type Turn, turns } from "./verdicts/mails";
import { rowsById } from "./verdicts/same-id";
import type { PlanSettings, Records, World } from "./world";

/** Whom this run tells. Whoever is adopted has an account already. */
export function withMails(
  world: World,
  settings: PlanSettings,
  users: readonly JudgedUser[],
): (JudgedUser & MailPart)[] {
  const rows = rowsById(world);
  const recipients = users.flatMap(({ userId, verdict, isAdopted, declared }) => {
    if (declared === null || declared.isKept) return [];
    const entry = world.ledger.users.get(userId);
    const row = rows.get(userId);
    const lastActiveAt = row?.lastActiveAt ?? null;
    return [
      {
        userId,
        email: declared.profile.email,
        // The mails of a user whose update fails are not even begun.
        isOurs: !isAdopted && verdict !== "blocked",
        isShutOut: row !== undefined && isShutOut(row),
        passwords: declared.passwords,
        linkedAt: entry?.linkedAt?.getTime() ?? null,
        lastActiveAt: lastActiveAt === null ? null : Date.parse(lastActiveAt),
        hasArrived: entry?.clerkUserId != null && world.arrivals.has(entry.clerkUserId),
        resend: world.decisions.get(userId)?.resend,
      },
    ];
  });
  const all = turns(recipients, world.ledger, settings, world.mails);
  return users.map((user) => {
    const { declared } = user;
    if (declared?.isKept === true) return { ...user, ...asRecorded(world, declared) };
    const turn = (declared === null ? undefined : all.get(user.userId)) ?? nobody;
    const isInvited = isToldNow(turn) && world.mails.invitedByOthers.has(declared?.profile.email ?? "");
    return {
      ...user,
      notes: isInvited ? [...user.notes, "invited-by-others"] : user.notes,
      told: turn.told,
      way: turn.way,
      notifications:
        declared === null ? [] : turn.mails.map((mail) => mailTo(settings, declared, turn.way, mail)),
      isReminderPending: turn.isReminderPending,
      takesBack: turn.takesBack,
      unknownMail: unknownMailOf(world.ledger, user.userId)?.attempt ?? 0,
    };
  });
}

const nobody: Turn = {
  told: "never",
  way: "invitation",
  mails: [],
  isReminderPending: false,
  takesBack: false,
};

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
      ...{ email: "", decidedEmail: "", redirectUrl: "", maySend: false },
    })),
    isReminderPending: false,
    takesBack: false,
    unknownMail: unknownMailOf(ledger, userId)?.attempt ?? 0,
  };
}

function mailTo(
  settings: PlanSettings,
  user: ClerkUserInputs,
  way: Way,
  mail: DeclaredMail,
): NotificationInputs {
  const { userId, label, stack, migrationId, decidedEmail, profile } = user;
  return {
    ...{ userId, ...mail, way, label, stack, migrationId, email: profile.email, decidedEmail },
    redirectUrl: settings.clerkInviteRedirectUrl ?? "",
  };
}

function unknownMailOf(ledger: Ledger, userId: string): LedgerNotification | undefined {
  return [ledger.notifications.get(userId), ...(ledger.reminders.get(userId) ?? [])].find(
    (mail) => mail !== undefined && isLost(mail),
  );
}
