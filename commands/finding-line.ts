import type { Finding } from "../providers/findings";

/** A finding as people read it: status, check and sentence, with the remedy below. */
export function findingLine({ status, check, sentence, remedy }: Finding): string {
  const line = `${status.padEnd(8)} ${check.padEnd(24)} ${sentence}`;
  return remedy === "" ? line : `${line}\n${" ".repeat(34)}→ ${remedy.trim()}`;
}

/** 1 where something is wrong, 2 where something cannot be told, 0 otherwise. */
export function exitCodeOf(findings: readonly Finding[]): number {
  if (findings.some(({ status }) => status === "problem")) return 1;
  return findings.some(({ status }) => status === "unknown") ? 2 : 0;
}
