import { MigrationError } from "../providers/errors";
import { judgeLegacyOff } from "../providers/gate";
import { command } from "./command";
import { gatherEvidence } from "./evidence";
import { exitCodeOf, findingLine } from "./finding-line";
import { settingsOfStack, stackFlags } from "./settings";

const LEGACY_OFF = "legacy-off";

/**
 * `npm run gate -- --for legacy-off [--leave-behind N] [--json]`: whether the old login may be closed, with what is missing. Exit code 0 yes, 1
 * no, 2 where it cannot be told.
 */
const gate = {
  usage: "npm run gate",
  says: "Says whether the old login may be closed, and what is missing. Exit code 0 yes, 1 no, 2 cannot be told.",
  flags: {
    ...stackFlags,
    for: { type: "string", value: "gate", says: LEGACY_OFF },
    "leave-behind": { type: "string", default: "0", value: "number", says: "how many users may stay behind" },
    json: { type: "boolean", says: "the same for machines" },
  },
} as const;

void command(gate, async (values) => {
  if (values.for !== LEGACY_OFF)
    throw new MigrationError("gate", `The gate that is known is ${LEGACY_OFF}.`, `Say --for ${LEGACY_OFF}.`);
  const leaveBehind = values["leave-behind"];
  if (!/^\d{1,9}$/.test(leaveBehind))
    throw new MigrationError("gate", "--leave-behind is no number of users.", "Say --leave-behind 3, e.g.");
  const findings = judgeLegacyOff(await gatherEvidence(await settingsOfStack(values)), Number(leaveBehind));
  const exitCode = exitCodeOf(findings);
  const answer = { 0: "yes", 1: "no", 2: "unknown" }[exitCode] ?? "unknown";
  const lines = [...findings.map(findingLine), "", `The old login may be closed: ${answer}.`];
  process.stdout.write(
    values.json ? `${JSON.stringify({ answer, findings }, undefined, 2)}\n` : `${lines.join("\n")}\n`,
  );
  return exitCode;
});
