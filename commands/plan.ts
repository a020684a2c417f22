import { stringify } from "csv-stringify/sync";

import { describePlan } from "../providers/plan-text";
import { countVerdicts, type Plan } from "../providers/planned";
import { command } from "./command";
import { planOf } from "./plan-of-stack";
import { settingsOfStack, stackFlags } from "./settings";

/** `npm run plan [-- --json | --csv]`: what `up` would do to every row, without Pulumi and without writing. */
const planCommand = {
  usage: "npm run plan",
  says: "Says what `up` would do to every row, without Pulumi and without writing.",
  flags: {
    ...stackFlags,
    json: { type: "boolean", says: "every row, for machines" },
    csv: { type: "boolean", says: "every row, for a spreadsheet" },
  },
} as const;

void command(planCommand, async (values) => {
  const chosen = await settingsOfStack(values);
  const { plan } = await planOf(chosen);
  process.stdout.write(
    values.json ? jsonOf(plan) : values.csv ? csvOf(plan) : `${describePlan(plan, chosen.settings)}\n`,
  );
  return 0;
});

/** Everything but the inputs, which hold personal data. */
function jsonOf(plan: Plan): string {
  const { findings, idleDecisions } = plan;
  const users = plan.users.map(({ declared, notifications, ...user }) => ({
    ...user,
    passwords: declared?.passwords ?? null,
    /** Those that are out, and those that this run sends. */
    mails: notifications.length,
    mailsNow: notifications.filter(({ maySend }) => maySend).length,
  }));
  return `${JSON.stringify({ counts: countVerdicts(plan), users, findings, idleDecisions }, undefined, 2)}\n`;
}

const columns = ["userId", "label", "verdict", "code", "reason", "remedy"] as const;

function csvOf({ users }: Plan): string {
  // What begins like a formula would be one in a spreadsheet.
  return stringify([...users], { header: true, columns: [...columns], escape_formulas: true });
}
