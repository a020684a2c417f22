import { aboutUser } from "../clerk/errors";
import { rollBackUser } from "../clerk-user/rollback";
import { MigrationError, otherInstance } from "../errors";
import { takeBackNotification } from "../notification/lifecycle";
import { isHeld, isMailHeld, readLedger } from "../postgres/ledger";
import { hasLedger } from "../postgres/ledger-steps";
import type { Systems } from "../systems";
import type { MigrationInputs } from "./inputs";

/** Pins the Clerk instance and the migration id. Safe to repeat. */
export async function ensureMigration(systems: Systems, inputs: MigrationInputs): Promise<MigrationInputs> {
  const { id } = await systems.instance();
  if (id !== inputs.clerkInstanceId) {
    throw otherInstance(`The stack ${inputs.stack}`, inputs.clerkInstanceId, id);
  }
  const { migrationId } = await systems.writer(inputs);
  return { ...inputs, migrationId };
}

/** How many users are rolled back at once; the limiter sets the pace. */
const AT_ONCE = 50;

/**
 * Rolls back whatever the ledger still holds: users that the state has forgotten, after a killed run or lost
 * checkpoints. Deleted last, so that normally nothing is left. Fails with the number of those that were refused.
 */
export async function sweep(systems: Systems, inputs: MigrationInputs): Promise<void> {
  const { database } = systems;
  if (!(await hasLedger(database))) return;
  const owner = await systems.writer(inputs);
  const ledger = await readLedger(database, owner);
  const failures: MigrationError[] = [];

  // One whose revocation was cut off is no longer held, and may still be open.
  const mails = [...ledger.notifications.values(), ...[...ledger.reminders.values()].flat()].filter(
    (mail) => isMailHeld(mail) || mail.status === "revoking",
  );
  const users = [...ledger.users.values()].filter((user) => isHeld(user) && user.stack === inputs.stack);
  const work = [
    ...mails.map(({ userId, number, way, attempt }) => ({
      userId,
      undo: () =>
        takeBackNotification(systems, owner, {
          stack: owner.stack,
          migrationId: owner.migrationId,
          userId,
          number,
          way,
          attempt,
          label: "",
          email: "",
          decidedEmail: "",
          redirectUrl: "",
          maySend: false,
        }),
    })),
    ...users.map((user) => ({
      userId: user.userId,
      undo: () => rollBackUser(systems, owner, user),
    })),
  ];
  const worker = async () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) {
      const { userId, undo } = next;
      await undo().catch((error: unknown) => {
        if (!(error instanceof MigrationError)) throw error;
        failures.push(aboutUser(error, userId));
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (failures.length === 0) return;
  throw new MigrationError(
    "rollback-incomplete",
    `${failures.length.toString()} of the users that the ledger still holds were not rolled back:\n${failures.map((failure) => `  - ${failure.message}\n`).join("")}`,
    "Mend the causes and run destroy again.",
  );
}
