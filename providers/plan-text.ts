import { countVerdicts, type Plan, type PlannedUser } from "./plan";
import type { Settings } from "./settings";

/** A line for every user up to here; beyond, the engine's own list and the outputs are complete. */
const LINES = 1_000;

/** What a dry run prints: a line for each user that a run would touch, those left out, and a summary. */
export function describePlan(plan: Plan, settings: Pick<Settings, "passwords" | "notify">): string {
  const touched = plan.filter(
    (user) => user.verdict === "create" || user.verdict === "resume" || user.verdict === "update",
  );
  const width = touched.length.toString().length;
  const lines = touched
    .slice(0, LINES)
    .map((user, index) =>
      userLine(user, `${(index + 1).toString().padStart(width)}/${touched.length.toString()}`),
    );
  return [
    "Dry run: nothing is written, in Postgres or in Clerk.",
    ...lines,
    ...(touched.length > LINES
      ? [`… and ${(touched.length - LINES).toString()} more, each a resource below.`]
      : []),
    ...blockedLines(plan),
    "",
    summaryLine(plan),
    ...meaning(plan, settings),
  ].join("\n");
}

function userLine(user: PlannedUser, position: string): string {
  const verdict = user.verdict === "create" ? "" : `  ${user.verdict}`;
  const reason = user.reason === "" ? "" : `  (${user.reason})`;
  return `${position}  ${user.label.padEnd(28)}  ${user.userId}  created ${user.createdAt.slice(0, 10) || "unknown"}${verdict}${reason}`;
}

function blockedLines(plan: Plan): string[] {
  const blocked = plan.filter((user) => user.verdict === "blocked");
  return blocked
    .slice(0, LINES)
    .map((user) => `blocked  ${user.label.padEnd(28)}  ${user.userId}  ${user.reason}. ${user.remedy}`);
}

/** `36 to create, 8 left out (…)`: every row of the table is in one of the numbers. */
export function summaryLine(plan: Plan): string {
  const counts = countVerdicts(plan);
  const parts = [
    ...(counts.create > 0 || counts.unchanged === 0 ? [`${counts.create.toString()} to create`] : []),
    ...(counts.resume > 0 ? [`${counts.resume.toString()} to resume`] : []),
    ...(counts.update > 0 ? [`${counts.update.toString()} to update`] : []),
    ...(counts.unchanged > 0 ? [`${counts.unchanged.toString()} unchanged`] : []),
    `${counts.blocked.toString()} blocked`,
    `${counts.excluded.toString()} left out${leftOut(plan)}`,
  ];
  return `${plan.length.toString()} rows: ${parts.join(", ")}.`;
}

function leftOut(plan: Plan): string {
  const reasons = new Map<string, number>();
  for (const { verdict, reason } of plan) {
    if (verdict === "excluded") reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (reasons.size === 0) return "";
  return ` (${[...reasons].map(([reason, count]) => `${count.toString()} ${reason}`).join("; ")})`;
}

/** What it means to the user, which the numbers do not say. */
function meaning(plan: Plan, settings: Pick<Settings, "passwords" | "notify">): string[] {
  const news = plan.filter((user) => user.invitation !== null && user.verdict === "create").length;
  return [
    settings.passwords === "carry"
      ? "Passwords: carried over; the old password works in Clerk at once."
      : "Passwords: reset; each user sets one at the first sign-in.",
    settings.notify === "none"
      ? "Mail: none; nobody is told."
      : `Mail: ${news.toString()} invitations by Clerk${settings.passwords === "carry" ? "; nobody has to follow the link to go on signing in" : "; the link leads to the first sign-in"}.`,
  ];
}
