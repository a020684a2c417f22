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
    this.name = "MigrationError";
  }
}

/** The sentence of an expected failure, or the message of any other. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
