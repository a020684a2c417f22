import { judgeEvidence } from "../providers/verify";
import { command } from "./command";
import { gatherEvidence } from "./evidence";
import { exitCodeOf, findingLine } from "./finding-line";
import { settingsOfStack, stackFlags } from "./settings";

/**
 * `npm run verify [-- --json]`: whether everything that a migration promises holds, a line for each check. Exit code 0
 * only if all of them are fine, 2 if one cannot be told, 1 otherwise.
 */
const verify = {
  usage: "npm run verify",
  says: "Checks whether everything that a migration promises holds. Exit code 0 yes, 1 no, 2 something cannot be told.",
  flags: { ...stackFlags, json: { type: "boolean", says: "the same for machines" } },
} as const;

void command(verify, async (values) => {
  const findings = judgeEvidence(await gatherEvidence(await settingsOfStack(values)));
  process.stdout.write(
    values.json ? `${JSON.stringify(findings, undefined, 2)}\n` : `${findings.map(findingLine).join("\n")}\n`,
  );
  return exitCodeOf(findings);
});
