import { base62 } from "../ids";

export interface ErrorItem {
  readonly code: string;
  readonly message: string;
  readonly long_message: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** Clerk says no. Caught by the server, which answers with it. Texts and codes are Clerk's own. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly items: readonly ErrorItem[],
    /** Seconds, for a 429. */
    readonly retryAfter?: number,
  ) {
    super(items.map((item) => item.code).join(", "));
  }
}

export function errorBody(items: readonly ErrorItem[]) {
  return { errors: items, clerk_trace_id: base62(32).toLowerCase() };
}

export function refusal(
  status: number,
  code: string,
  message: string,
  longMessage = message,
  meta?: ErrorItem["meta"],
) {
  return new Refusal(status, [{ code, message, long_message: longMessage, ...(meta && { meta }) }]);
}

/** A 422 about one parameter. */
export function formError(code: string, parameter: string, message: string, longMessage = message): Refusal {
  return refusal(422, code, message, longMessage, { param_name: parameter });
}
