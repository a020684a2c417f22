import { arrivalsOf, livesOf } from "./funnel";
import { type Plan, usersById } from "./planned";
import { newPasswordReasons } from "./verdicts/new-password";
import type { World } from "./world";

export const lists = ["failed", "blocked", "stragglers", "migrated", "new-password"] as const;
export type List = (typeof lists)[number];

/** In their order, so that an empty list has a head as well. */
export const columnsOf: Readonly<Record<List, readonly string[]>> = {
  failed: ["userId", "email", "what", "code", "reason", "remedy"],
  blocked: ["userId", "email", "code", "reason", "remedy"],
  stragglers: ["userId", "email", "clerkUserId", "linkedAt", "toldAt", "days"],
  migrated: ["userId", "email", "clerkUserId", "linkedAt", "toldAt", "signedInAt"],
  "new-password": ["userId", "email", "code", "reason"],
};

/** A row of a list: the same columns for each, text and numbers only. */
export type Entry = Readonly<Record<string, string | number>>;

const DAY = 86_400_000;

/** Whom support has to look after. The addresses are as the plan has them: masked, unless it was made to reveal them. Pure. */
export function supportList(list: List, world: World, plan: Plan): Entry[] {
  return { failed, blocked, stragglers, migrated, "new-password": newPassword }[list](world, plan);
}

function failed({ ledger, stack }: World, plan: Plan): Entry[] {
  const labels = labelsOf(plan);
  const of = (what: string, entries: Iterable<{ userId: string; stack: string; failure: Failure | null }>) =>
    [...entries].flatMap(({ userId, stack: owner, failure }) =>
      owner !== stack || failure === null
        ? []
        : [{ userId, email: labels.get(userId) ?? "", what, ...pick(failure) }],
    );
  return [
    ...of("user", ledger.users.values()),
    ...of("mail", ledger.notifications.values()),
    ...of("reminder", [...ledger.reminders.values()].flat()),
  ];
}

interface Failure {
  readonly code: string;
  readonly reason: string;
  readonly remedy: string;
}

const pick = ({ code, reason, remedy }: Failure) => ({ code, reason, remedy });

function blocked(_: World, plan: Plan): Entry[] {
  return plan.users
    .filter(({ verdict }) => verdict === "blocked")
    .map((user) => ({ userId: user.userId, email: user.label, ...pick(user) }));
}

function stragglers(world: World, plan: Plan): Entry[] {
  return lives(world, plan)
    .filter(({ signedInAt }) => signedInAt === "")
    .map(({ userId, email, clerkUserId, linkedAt, toldAt }) => {
      const since = Date.parse(toldAt || linkedAt);
      const days = Number.isNaN(since) ? 0 : Math.floor((world.now - since) / DAY);
      return { userId, email, clerkUserId, linkedAt, toldAt, days };
    });
}

function migrated(world: World, plan: Plan): Entry[] {
  return lives(world, plan).map((life) => ({ ...life }));
}

/** Whoever is migrated or to be, and has to set a new password at the first sign-in. */
function newPassword(_: World, { users }: Plan): Entry[] {
  return users.flatMap(({ userId, label, newPassword: code }) =>
    code === null ? [] : [{ userId, email: label, code, reason: newPasswordReasons[code] }],
  );
}

function lives(world: World, plan: Plan) {
  const labels = labelsOf(plan);
  const time = (at: number | null) => (at === null ? "" : new Date(at).toISOString());
  return livesOf(world.ledger, world.stack, arrivalsOf(world)).map((life) => ({
    userId: life.userId,
    email: labels.get(life.userId) ?? "",
    clerkUserId: world.ledger.users.get(life.userId)?.clerkUserId ?? "",
    linkedAt: time(life.linkedAt),
    toldAt: time(life.toldAt),
    signedInAt: time(life.signedInAt),
  }));
}

function labelsOf({ users }: Plan): Map<string, string> {
  return new Map([...usersById(users)].map(([userId, { label }]) => [userId, label]));
}
