import { parseArgs } from "node:util";

import { MigrationError } from "../providers/errors";
import { judgeLegacyOff } from "../providers/gate";
import { command } from "./command";
import { gatherEvidence } from "./evidence";
import { exitCodeOf, findingLine } from "./finding-line";
import { settingsOfStack, stackOptions } from "./settings";

const LEGACY_OFF = "legacy-off";

/**
 * `npm run gate -- --for legacy-off [--json]`: whether the old login may be closed, with what is missing. Exit code 0 yes, 1
 * no, 2 where it cannot be told.
 */
void command(async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: { ...stackOptions, for: { type: "string" }, json: { type: "boolean" } },
  });
  if (values.for !== LEGACY_OFF)
    throw new MigrationError("gate", `The gate that is known is ${LEGACY_OFF}.`, `Say --for ${LEGACY_OFF}.`);
  const findings = judgeLegacyOff(await gatherEvidence(await settingsOfStack(values)));
  const exitCode = exitCodeOf(findings);
  const answer = { 0: "yes", 1: "no", 2: "unknown" }[exitCode] ?? "unknown";
  const lines = [...findings.map(findingLine), "", `The old login may be closed: ${answer}.`];
  process.stdout.write(
    values.json ? `${JSON.stringify({ answer, findings }, undefined, 2)}\n` : `${lines.join("\n")}\n`,
  );
  return exitCode;
});
