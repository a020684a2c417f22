import { readFileSync } from "node:fs";

import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";

import { MigrationError } from "./errors";

/** What a person has decided of one user, reviewed in git. */
const decisionSchema = z.strictObject({
  /** Why this user is not to be taken on. */
  skip: z.string().min(1),
});

export type Decision = z.infer<typeof decisionSchema>;

/** By `user_id`. */
export type Decisions = ReadonlyMap<string, Decision>;

/** Reads the decisions file; one that is not there decides nothing. Every problem comes in one error, with its line. */
export function readDecisions(path: string): Decisions {
  const text = textOf(path);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const entries = z
    .record(z.string(), z.unknown())
    .nullable()
    .safeParse(document.errors.length > 0 ? [] : document.toJS());
  const problems = document.errors.map(
    (error) => `line ${lines.linePos(error.pos[0]).line.toString()}: ${error.code}`,
  );
  if (entries.success) {
    const decisions = new Map<string, Decision>();
    for (const [userId, value] of Object.entries(entries.data ?? {})) {
      const decision = decisionSchema.safeParse(value);
      if (decision.success) decisions.set(userId, decision.data);
      else problems.push(`line ${lineOf(document, lines, userId)}: ${userId} has to be { skip: "<reason>" }`);
    }
    if (problems.length === 0) return decisions;
  } else if (problems.length === 0) {
    problems.push("line 1: it has to map each user_id to a decision");
  }
  throw new MigrationError(
    "decisions",
    `${path} cannot be read as decisions:`,
    `\n${problems.map((problem) => `  - ${problem}`).join("\n")}`,
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

function lineOf(document: ReturnType<typeof parseDocument>, lines: LineCounter, userId: string): string {
  const range = z
    .object({ range: z.tuple([z.number(), z.number(), z.number()]) })
    .safeParse(document.get(userId, true));
  return range.success ? lines.linePos(range.data.range[0]).line.toString() : "?";
}
