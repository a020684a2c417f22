import { type Finding, finding } from "./findings";
import { firstUsers } from "./first-few";
import { arrivalsOf, type Life, livesOf } from "./funnel";
import { isToBeTold, type PlannedUser } from "./planned";
import { reasons } from "./verdicts/reasons";
import { type Evidence, judgeEvidence, MEMORY } from "./verify";

const SHOWN = 10;

/**
 * What stands against closing the old door: a finding for each question, with the numbers and the first few users. Whoever is
 * to be left behind is named by a decision (`leave`), or counted: up to so many may be. Pure.
 */
export function judgeLegacyOff(evidence: Evidence, leaveBehind = 0): Finding[] {
  const checks = judgeEvidence(evidence);
  const failing = checks.filter(({ status }) => status !== "ok");
  const memory = checks.find(({ check, status }) => check === MEMORY && status !== "ok");
  // Whom the ledger does not know, it cannot say anything good of.
  if (memory !== undefined) return [{ ...memory, check: "gate/memory" }];
  const shutOut = peopleShutOut(evidence);
  const count = shutOut.stragglers.length + shutOut.blocked.length + shutOut.remaining.length;
  const isAgreed = count > 0 && count <= leaveBehind;
  return [
    left(evidence),
    ...[stragglers(evidence, shutOut), blocked(shutOut), remaining(shutOut)].map((found) =>
      isAgreed && found.status === "problem"
        ? finding(
            found.check,
            "ok",
            `${found.sentence} That is agreed: up to ${leaveBehind.toString()} may be left behind.`,
          )
        : found,
    ),
    mails(evidence),
    failing.length === 0
      ? finding("gate/verify", "ok", `All ${checks.length.toString()} checks of verify hold.`)
      : finding(
          "gate/verify",
          failing.some(({ status }) => status === "problem") ? "problem" : "unknown",
          `${failing.length.toString()} checks of verify do not hold: ${failing.map(({ check }) => check).join(", ")}.`,
          "npm run verify says what is wrong and what to do.",
        ),
  ];
}

interface ShutOut {
  /** Migrated, and never signed in: for them the old door is the only one they know. */
  readonly stragglers: readonly Life[];
  readonly blocked: readonly PlannedUser[];
  /** Everybody else who can sign in at the old door today, whyever they are not migrated. */
  readonly remaining: readonly PlannedUser[];
}

/** Who would have no login any more, but for those who stay behind by a decision. */
function peopleShutOut({ world, plan, clerkUsers }: Evidence): ShutOut {
  const isLeft = ({ userId }: { readonly userId: string }) =>
    world.decisions.get(userId)?.leave !== undefined;
  const lives = livesOf(world.ledger, world.stack, arrivalsOf(world));
  const migrated = new Set(lives.map(({ userId }) => userId));
  const arrived = new Set(clerkUsers.filter(({ lastSignInAt }) => lastSignInAt !== null).map(({ id }) => id));
  const atTheDoor = new Set(
    world.rows
      .filter(({ digest, isDeleted, isBanned }) => digest !== null && !isDeleted && !isBanned)
      .filter(({ userId, clerkUserId }) => !migrated.has(userId) && !arrived.has(clerkUserId ?? ""))
      .map(({ userId }) => userId),
  );
  const others = plan.users.filter((user) => !isLeft(user));
  return {
    stragglers: lives.filter((life) => life.signedInAt === null && !isLeft(life)),
    blocked: others.filter(({ verdict }) => verdict === "blocked"),
    remaining: others.filter(({ userId, verdict }) => verdict !== "blocked" && atTheDoor.has(userId)),
  };
}

function stragglers({ world }: Evidence, { stragglers: out }: ShutOut): Finding {
  const all = livesOf(world.ledger, world.stack, arrivalsOf(world)).length;
  if (out.length === 0)
    return finding(
      "gate/stragglers",
      "ok",
      `All ${all.toString()} migrated users have signed in with Clerk.`,
    );
  const told = out.filter(({ toldAt }) => toldAt !== null).length;
  const shown = firstUsers(out, SHOWN);
  return finding(
    "gate/stragglers",
    "problem",
    `${out.length.toString()} of ${all.toString()} migrated users have not signed in with Clerk, ${told.toString()} of them were told: ${shown}.`,
    "Remind them (remindAfterDays), or decide that they may start with Clerk (leave in decisions.yaml, or --leave-behind); npm run export -- --what stragglers lists them.",
  );
}

function blocked({ blocked: users }: ShutOut): Finding {
  if (users.length === 0) return finding("gate/blocked", "ok", "No row is blocked.");
  return finding(
    "gate/blocked",
    "problem",
    `${users.length.toString()} rows are blocked: their users have no login but the old one: ${firstUsers(users, SHOWN)}.`,
    "Settle them: preview says how.",
  );
}

function remaining({ remaining: users }: ShutOut): Finding {
  if (users.length === 0) return finding("gate/remaining", "ok", "Nobody else can sign in at the old door.");
  const why = new Map<string, number>();
  for (const { verdict, code } of users) {
    const reason = verdict === "excluded" ? reasons[code].title : "not taken on yet";
    why.set(reason, (why.get(reason) ?? 0) + 1);
  }
  const parts = [...why].map(([reason, count]) => `${count.toString()} ${reason}`);
  return finding(
    "gate/remaining",
    "problem",
    `${users.length.toString()} users who are not migrated can sign in at the old door: ${parts.join("; ")}: ${firstUsers(users, SHOWN)}.`,
    "Run up, widen the wave, or say who stays behind: leave in decisions.yaml, or --leave-behind.",
  );
}

/** Whom people have decided to leave behind, by name. */
function left({ world }: Evidence): Finding {
  const users = [...world.decisions].flatMap(([userId, { leave }]) =>
    leave === undefined ? [] : [{ userId }],
  );
  return finding(
    "gate/left",
    "ok",
    users.length === 0
      ? "Nobody is left behind by a decision."
      : `${users.length.toString()} stay behind by a decision: ${firstUsers(users, SHOWN)}.`,
  );
}

/** Whoever is to be told, and is not. */
function mails({ world, plan }: Evidence): Finding {
  const status = (userId: string) => world.ledger.notifications.get(userId)?.status;
  const open = plan.users.filter(
    (user) => isToBeTold(user) || ["failed", "unknown", "sending"].includes(status(user.userId) ?? ""),
  );
  if (open.length === 0) return finding("gate/mails", "ok", "Everybody who is to be told is told.");
  const shown = firstUsers(open, SHOWN);
  return finding(
    "gate/mails",
    "problem",
    `${open.length.toString()} users are not told, or nobody knows whether they are: ${shown}.`,
    "Run up (-- --until-done); preview says what to decide.",
  );
}
