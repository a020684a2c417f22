import { MigrationError, Refusal } from "../errors";

// Every way in which one user fails that is not Clerk's own answer: cause and remedy, and nobody's address.

export function gone(userId: string, clerkUserId: string): MigrationError {
  return new MigrationError(
    "gone",
    `User ${userId} was deleted in Clerk (${clerkUserId}) after the migration.`,
    "Decide in decisions.yaml: recreate makes the user anew, forget lets go of it.",
  );
}

export function rowGone(userId: string): Refusal {
  return new Refusal(
    "row-gone",
    `User ${userId} is no longer in the users table.`,
    "Run the command again: it plans with the rows that are there now.",
  );
}

/** The same, but no refusal: something of ours may exist in Clerk. */
export function heldStill({ code, reason, remedy }: Refusal): MigrationError {
  return new MigrationError(code, reason, remedy);
}

/** State alone is no proof: it may be read beside another database. */
export function unknownHere(userId: string, what: string): MigrationError {
  return new MigrationError(
    "unknown-here",
    `User ${userId}: the stack's state knows ${what}, but this database's ledger does not, and its row does not lead there: nothing was deleted.`,
    "Check that DATABASE_URL names the right database. If ledger and link were lost, run `up` first: it finds its people again.",
  );
}

export function noLongerLegacy(userId: string): Refusal {
  return new Refusal(
    "no-digest",
    `User ${userId} has lost the password hash since the plan was made, and with it the password.`,
    "Restore it, or leave the user out; the next run plans with what is there then.",
  );
}

export function linkedElsewhere(userId: string, clerkUserId: string): Refusal {
  return new Refusal(
    "linked-elsewhere",
    `User ${userId} has been linked to the Clerk user ${clerkUserId} by somebody else.`,
    "If that link is right there is nothing to do; otherwise clear clerk_user_id of that row and run again.",
  );
}

export function notOurs(userId: string, clerkUserId: string): MigrationError {
  return new MigrationError(
    "not-ours",
    `The Clerk user ${clerkUserId} of user ${userId} no longer carries our mark and external id.`,
    "Restore external_id and private metadata in Clerk, or clear the link by hand.",
  );
}

export function externalIdTaken(userId: string, clerkUserId: string): Refusal {
  return new Refusal(
    "external-id-taken",
    `Clerk has a user with the external id ${userId} already (${clerkUserId}), which this stack did not make.`,
    "Link it by hand if it is the same person, or change its external id in Clerk; then run again.",
  );
}

export function emailTaken(userId: string, clerkUserId: string): Refusal {
  return new Refusal(
    "email-taken",
    `Clerk has a user with the address of user ${userId} already (${clerkUserId}).`,
    "If it is the same person, set the row's clerk_user_id to it; otherwise change the address on one side; then run again.",
  );
}

export function adoptedGone(userId: string, clerkUserId: string): Refusal {
  return new Refusal(
    "adopt-gone",
    `The Clerk user ${clerkUserId} whom user ${userId} was to adopt does not exist.`,
    "Correct the decision, or remove it to create a user; then run again.",
  );
}

export function notAdoptable(userId: string, clerkUserId: string, problem: string): Refusal {
  return new Refusal(
    "not-adoptable",
    `User ${userId} cannot adopt the Clerk user ${clerkUserId}: ${problem}.`,
    "Mend that in Clerk, or decide otherwise; then run again.",
  );
}

/** Of everybody whose turn had not come yet when the first link failed, and no other row would have taken one. */
export function noMoreCreated({ reason, remedy }: Refusal): Refusal {
  return new Refusal(
    "no-link-taken",
    `Nobody else is created in this run, because no row takes a link. ${reason}`,
    remedy,
  );
}
