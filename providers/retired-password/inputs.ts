import { z } from "zod";

/** What is declared of one digest that is taken out of the users table. */
export const retiredPasswordInputs = z.object({
  userId: z.string(),
  label: z.string(),
  stack: z.string(),
  /** Empty in state that an earlier version has written. */
  migrationId: z.string().default(""),
  /** Of the digest that is meant; encrypted in state, since an unsalted one could be guessed from it. */
  digestFingerprint: z.string(),
  /** Raised when it has to be done again. */
  attempt: z.number(),
});

export type RetiredPasswordInputs = z.infer<typeof retiredPasswordInputs>;

export const retiredPasswordOutputs = retiredPasswordInputs.extend({
  /** Which key sealed it. Never the digest, sealed or not. */
  keyId: z.string(),
});

export type RetiredPasswordOutputs = z.infer<typeof retiredPasswordOutputs>;

export function differs(recorded: RetiredPasswordOutputs, declared: RetiredPasswordInputs): boolean {
  return (
    recorded.attempt !== declared.attempt ||
    recorded.stack !== declared.stack ||
    recorded.migrationId !== declared.migrationId
  );
}
