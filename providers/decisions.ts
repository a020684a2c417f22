import { readFileSync } from "node:fs";

import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";

import { normalEmail } from "./clerk-user/inputs";
import { MigrationError } from "./errors";
import { addressFlaw } from "./verdicts/row";

const isAddress = (text: string) => addressFlaw(normalEmail(text)) === undefined;

const USE = "it takes skip, keep, leave, adopt, email, passwords, recreate, forget and resend";

/** What a person has decided of one user, reviewed in git. */
const decisionSchema = z
  .strictObject(
    {
      /** Why this user is not to be taken on. */
      skip: z.string("skip has to be a reason").min(1, "skip has to be a reason").optional(),
      /** Why this user stays as it is, whatever else is said: never removed by an `up`, nor rolled back. */
      keep: z.string("keep has to be a reason").min(1, "keep has to be a reason").optional(),
      /** Why this user stays with the old login, and need not be waited for when that is closed. */
      leave: z.string("leave has to be a reason").min(1, "leave has to be a reason").optional(),
      /** Takes over the Clerk user who has this address, or the one named. */
      adopt: z
        .union([z.literal(true), z.string().regex(/^user_\w+$/)], "adopt has to be true or a Clerk user's id")
        .optional(),
      /** The address to use instead of the row's. */
      email: z
        .string("email has to be an address")
        .refine(isAddress, "email has to be an address")
        .optional(),
      /** This user sets a new password, whatever the stack's setting. */
      passwords: z.literal("reset", "passwords can only be reset").optional(),
      /** Somebody deleted the user in Clerk: make it anew. */
      recreate: z.literal(true, "recreate can only be true").optional(),
      /** Somebody deleted the user in Clerk: let go of it. */
      forget: z.literal(true, "forget can only be true").optional(),
      /** The mail of unknown outcome that is sent again: its attempt, so that the decision holds once. */
      resend: z.int("resend has to be the number that the preview says").min(1).optional(),
    },
    { error: (issue) => (issue.code === "unrecognized_keys" ? USE : "it has to be a mapping") },
  )
  .refine((decision) => Object.keys(decision).length > 0, `nothing is decided: ${USE}`)
  .refine(
    ({ skip, leave, adopt, recreate, forget }) =>
      [skip, leave, adopt, recreate, forget].filter((given) => given !== undefined).length < 2,
    "skip, leave, adopt, recreate and forget exclude each other",
  )
  .refine(
    ({ keep, forget }) => keep === undefined || forget === undefined,
    "keep and forget exclude each other",
  );

export type Decision = z.infer<typeof decisionSchema>;

/** By `user_id`. */
export type Decisions = ReadonlyMap<string, Decision>;

/** Reads the decisions file; one that is not there decides nothing. Every problem comes in one error, with its line. */
export function readDecisions(path: string): Decisions {
  const lines = new LineCounter();
  const document = parseDocument(textOf(path), { lineCounter: lines });
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
      const line = decision.success ? "" : lineOf(document, lines, userId);
      for (const { message } of decision.error?.issues ?? []) {
        problems.push(`line ${line}: ${userId}: ${message}`);
      }
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
