import { z } from "zod";

import { otherMigration } from "../postgres/ledger-migrations";

/** What all users of a stack have in common. */
export const migrationInputs = z.object({
  /** `<project>/<stack>`. */
  stack: z.string(),
  /** Empty in state that an earlier version has written. */
  migrationId: z.string().default(""),
  /** The one Clerk instance of this stack. */
  clerkInstanceId: z.string(),
});

export type MigrationInputs = z.infer<typeof migrationInputs>;

/** Throws where the state is another migration's: what the engine is told then stops preview and `up` alike. */
export function differs(recorded: MigrationInputs, declared: MigrationInputs): boolean {
  if (recorded.migrationId !== "" && recorded.migrationId !== declared.migrationId)
    throw otherMigration(declared.stack, recorded.migrationId, declared.migrationId);
  return (
    recorded.clerkInstanceId !== declared.clerkInstanceId ||
    recorded.stack !== declared.stack ||
    recorded.migrationId !== declared.migrationId
  );
}
