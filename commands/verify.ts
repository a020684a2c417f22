import { parseArgs } from "node:util";

import { judgeEvidence } from "../providers/verify";
import { command } from "./command";
import { gatherEvidence } from "./evidence";
import { exitCodeOf, findingLine } from "./finding-line";
import { settingsOfStack, stackOptions } from "./settings";

/**
 * `npm run verify [-- --json]`: whether everything that a migration promises holds, a line for each check. Exit code 0
 * only if all of them are fine, 2 if one cannot be told, 1 otherwise.
 */
void command(async (args) => {
  const { values } = parseArgs({ args: [...args], options: { ...stackOptions, json: { type: "boolean" } } });
  const findings = judgeEvidence(await gatherEvidence(await settingsOfStack(values)));
  process.stdout.write(
    values.json ? `${JSON.stringify(findings, undefined, 2)}\n` : `${findings.map(findingLine).join("\n")}\n`,
  );
  return exitCodeOf(findings);
});
