import { type Finding, finding } from "./findings";
import { firstUsers } from "./first-few";
import { arrivalsOf, livesOf } from "./funnel";
import { type Evidence, judgeEvidence } from "./verify";

const SHOWN = 10;

/** What stands against closing the old door: a finding for each question, with the numbers and the first few users. Pure. */
export function judgeLegacyOff(evidence: Evidence): Finding[] {
  const checks = judgeEvidence(evidence);
  const failing = checks.filter(({ status }) => status !== "ok");
  return [
    stragglers(evidence),
    rows(
      evidence,
      "blocked",
      "rows are blocked: their users have no login but the old one",
      "Settle them: preview says how.",
    ),
    rows(evidence, "create", "rows are not taken on yet", "Run up, or widen the wave."),
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

/** Migrated, and never signed in: for them the old door is the only one they know. */
function stragglers({ world }: Evidence): Finding {
  const lives = livesOf(world.ledger, world.stack, arrivalsOf(world));
  const out = lives.filter(({ signedInAt }) => signedInAt === null);
  if (out.length === 0)
    return finding(
      "gate/stragglers",
      "ok",
      `All ${lives.length.toString()} migrated users have signed in with Clerk.`,
    );
  const told = out.filter(({ toldAt }) => toldAt !== null).length;
  const shown = firstUsers(out, SHOWN);
  return finding(
    "gate/stragglers",
    "problem",
    `${out.length.toString()} of ${lives.length.toString()} migrated users have not signed in with Clerk, ${told.toString()} of them were told: ${shown}.`,
    "Remind them (remindAfterDays), or decide that they may start with Clerk; npm run export -- --what stragglers lists them.",
  );
}

function rows({ plan }: Evidence, verdict: "blocked" | "create", sentence: string, remedy: string): Finding {
  const concerned = plan.users.filter((user) => user.verdict === verdict);
  const check = verdict === "blocked" ? "gate/blocked" : "gate/remaining";
  if (concerned.length === 0)
    return finding(
      check,
      "ok",
      verdict === "blocked" ? "No row is blocked." : "No row is left to be taken on.",
    );
  const shown = firstUsers(concerned, SHOWN);
  return finding(check, "problem", `${concerned.length.toString()} ${sentence}: ${shown}.`, remedy);
}

/** Whoever is to be told, and is not. */
function mails({ world, plan }: Evidence): Finding {
  const status = (userId: string) => world.ledger.notifications.get(userId)?.status;
  const open = plan.users.filter(
    ({ userId, told }) =>
      told === "now" || told === "later" || ["failed", "unknown", "sending"].includes(status(userId) ?? ""),
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
