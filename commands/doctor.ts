import { MigrationError } from "../providers/errors";
import { type Finding, finding } from "../providers/findings";
import { firstUsers } from "../providers/first-few";
import { ledgerForgets } from "../providers/lost-migration";
import { groupsOf, summaryLine } from "../providers/plan-text";
import type { Plan } from "../providers/planned";
import { command } from "./command";
import { exitCodeOf, findingLine } from "./finding-line";
import { planOf } from "./plan-of-stack";
import type { StackChoice } from "./selected-stack";
import { settingsOfStack, stackFlags } from "./settings";

/**
 * `npm run doctor [-- --json]`: every check of settings, database, Clerk and rows, without Pulumi. Exit code 0 where
 * nothing is wrong, 1 where something is, 2 where it cannot be told.
 */
const doctor = {
  usage: "npm run doctor",
  says: "Checks settings, database, Clerk and every row, without Pulumi. Exit code 0 fine, 1 problems, 2 something cannot be told.",
  flags: { ...stackFlags, json: { type: "boolean", says: "the same for machines" } },
} as const;

void command(doctor, async (values) => {
  const { findings, summary } = await examine(values);
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ findings, summary }, undefined, 2)}\n`
      : `${[...findings.map(findingLine), ...(summary === "" ? [] : ["", summary])].join("\n")}\n`,
  );
  return exitCodeOf(findings);
});

interface Examination {
  readonly findings: readonly Finding[];
  readonly summary: string;
}

/** What stops a plan from being made is a finding, too. */
async function examine(choice: StackChoice): Promise<Examination> {
  try {
    const chosen = await settingsOfStack(choice);
    const { world, plan } = await planOf(chosen);
    const key = finding(
      "instance/key",
      "ok",
      `The key is for the ${world.clerk.kind} instance ${world.clerkInstanceId}, and the issuer is the same instance's.`,
    );
    const forgets = ledgerForgets(world);
    const memory =
      forgets === undefined ? [] : [finding(forgets.code, "problem", forgets.reason, forgets.remedy)];
    return { findings: [key, ...plan.findings, ...memory, ...rowFindings(plan)], summary: summaryLine(plan) };
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    return { findings: [finding(error.code, "problem", error.reason, error.remedy)], summary: "" };
  }
}

const EXAMPLES = 3;

function rowFindings(plan: Plan): Finding[] {
  const blocked = groupsOf(plan).filter(({ verdict }) => verdict === "blocked");
  if (blocked.length === 0) return [finding("rows", "ok", "No row is blocked.")];
  return blocked.map(({ users, title, remedy }) => {
    const shown = firstUsers(users, EXAMPLES);
    return finding(
      `rows/${users[0]?.code ?? "blocked"}`,
      "problem",
      `${users.length.toString()} rows: ${title} (${shown}).`,
      remedy,
    );
  });
}
