import { z } from "zod";

/** What all users of a stack have in common. */
export const migrationInputs = z.object({
  project: z.string(),
  stack: z.string(),
  /** The one Clerk instance of this stack. */
  clerkInstanceId: z.string(),
});

export type MigrationInputs = z.infer<typeof migrationInputs>;

export function differs(recorded: MigrationInputs, declared: MigrationInputs): boolean {
  return recorded.clerkInstanceId !== declared.clerkInstanceId || recorded.stack !== declared.stack;
}
