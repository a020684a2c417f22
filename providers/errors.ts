/**
 * An expected failure: what was expected and found (`reason`) and what to do (`remedy`). Its message is both,
 * names users by `user_id` only, and is shown without a stack trace.
 */
export class MigrationError extends Error {
  constructor(
    readonly code: string,
    readonly reason: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(`${reason} ${remedy}`, options);
    this.name = new.target.name;
  }
}

/** It was refused for good, and nothing of ours exists in Clerk: the user is a candidate again. */
export class Refusal extends MigrationError {}

/** The sentence of an expected failure, or the message of any other. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The key of another instance must not touch, nor judge, the users of this one. */
export function otherInstance(whose: string, expected: string, found: string): MigrationError {
  return new MigrationError(
    "other-instance",
    `${whose} belongs to the Clerk instance ${expected}, but the key is for ${found}.`,
    "Use a key of that instance. If the instance was meant to change, roll back with the old key first.",
  );
}
