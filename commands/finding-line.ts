import type { Finding } from "../providers/findings";

/** A finding as people read it: status, check and sentence, with the remedy below. */
export function findingLine({ status, check, sentence, remedy }: Finding): string {
  const line = `${status.padEnd(8)} ${check.padEnd(24)} ${sentence}`;
  return remedy === "" ? line : `${line}\n${" ".repeat(34)}→ ${remedy.trim()}`;
}
