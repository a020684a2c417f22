import { parseArgs } from "node:util";

import { MigrationError } from "../providers/errors";
import type { Finding } from "../providers/findings";
import { observeStack } from "../providers/observe";
import { countVerdicts, makePlan, type Plan } from "../providers/plan";
import { groupsOf, summaryLine } from "../providers/plan-text";
import { explainDatabaseError, openDatabase } from "../providers/postgres/database";
import { command } from "./command";
import { findingLine } from "./finding-line";
import { settingsOfStack, type StackChoice, stackOptions } from "./settings";

/**
 * `npm run doctor [-- --json]`: every check of settings, database, Clerk and rows, without Pulumi. Exit code 0 where
 * nothing is wrong, 1 where something is, 2 where it cannot be told.
 */
void command(async (args) => {
  const { values } = parseArgs({ args: [...args], options: { ...stackOptions, json: { type: "boolean" } } });
  const { findings, summary } = await examine(values);
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ findings, summary }, undefined, 2)}\n`
      : `${[...findings.map(findingLine), ...(summary === "" ? [] : ["", summary])].join("\n")}\n`,
  );
  if (findings.some(({ status }) => status === "problem")) return 1;
  return findings.some(({ status }) => status === "unknown") ? 2 : 0;
});

interface Examination {
  readonly findings: readonly Finding[];
  readonly summary: string;
}

/** What stops a plan from being made is a finding, too. */
async function examine(choice: StackChoice): Promise<Examination> {
  try {
    const chosen = await settingsOfStack(choice);
    const database = openDatabase(chosen.settings.databaseUrl, 1);
    try {
      const world = await observeStack(chosen.settings, database, chosen);
      const plan = makePlan(world, chosen.settings);
      const instance: Finding = {
        check: "instance/key",
        status: "ok",
        sentence: `The key is for the ${world.clerk.kind} instance ${world.clerkInstanceId}, and the issuer is the same instance's.`,
        remedy: "",
      };
      return { findings: [instance, ...plan.findings, ...rowFindings(plan)], summary: summaryLine(plan) };
    } finally {
      await database.end();
    }
  } catch (error) {
    const explained = explainDatabaseError(error);
    if (!(explained instanceof MigrationError)) throw error;
    const { code, reason, remedy } = explained;
    return { findings: [{ check: code, status: "problem", sentence: reason, remedy }], summary: "" };
  }
}

function rowFindings(plan: Plan): Finding[] {
  const blocked = groupsOf(plan).filter(({ verdict }) => verdict === "blocked");
  const findings = blocked.map(({ users, title, remedy }): Finding => {
    const shown = users.slice(0, 3).map(({ userId }) => userId);
    return {
      check: `rows/${users[0]?.code ?? "blocked"}`,
      status: "problem",
      sentence: `${users.length.toString()} rows: ${title} (${shown.join(", ")}${users.length > shown.length ? ", …" : ""}).`,
      remedy,
    };
  });
  const { blocked: count } = countVerdicts(plan);
  if (count > 0) return findings;
  return [{ check: "rows", status: "ok", sentence: "No row is blocked.", remedy: "" }];
}
