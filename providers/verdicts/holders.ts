import { counted } from "../counted";
import { MigrationError, otherInstance } from "../errors";
import { NOBODY } from "../settings";
import type { PlanSettings, Records } from "../world";

/**
 * Throws where the ledger gives people of this table to somebody else than this stack and instance, before anything is
 * declared: Pulumi would remove, or make a second time, whom it does not find where they were.
 */
export function refuseOtherHolders(
  { holders, stack, clerkInstanceId, link, migrationId }: Records,
  { takeOver }: Pick<PlanSettings, "takeOver">,
): void {
  for (const holder of holders) {
    const isOtherInstance = holder.clerkInstanceId !== clerkInstanceId;
    if (isOtherInstance && (holder.stack === stack || holder.link === link))
      throw otherInstance(`The stack ${holder.stack}`, holder.clerkInstanceId, clerkInstanceId);
    if (!isOtherInstance && holder.stack === stack && holder.migrationId !== migrationId)
      throw new MigrationError(
        "other-link",
        `The stack ${stack} holds ${counted(holder.users, "user")} who are linked in ${holder.link}, but the settings name ${link}.`,
        "Correct the settings of the table, or roll back with the former ones first.",
      );
  }
  const here = holders.filter((holder) => holder.migrationId === migrationId);
  const [other] = here.filter((holder) => holder.stack !== stack);
  if (other === undefined || takeOver !== undefined || here.some((holder) => holder.stack === stack)) return;
  throw new MigrationError(
    "other-stack-holds",
    `The stack ${other.stack} holds ${counted(other.users, "user")} of ${link}, and the stack ${stack} holds none.`,
    `If this is the same stack under a new name, run \`pulumi config set takeOver ${other.stack}\`: nothing changes in Clerk. If both are to share the table, run \`pulumi config set takeOver ${NOBODY}\`.`,
  );
}
