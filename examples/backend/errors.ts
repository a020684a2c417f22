/** What a client may be told: a status and one sentence. Everything else that is thrown becomes a plain 500. */
export class Refusal extends Error {
  constructor(
    readonly statusCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "Refusal";
  }
}
