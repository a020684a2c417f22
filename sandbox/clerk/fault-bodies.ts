import type { Answer } from "./call";
import { errorBody } from "./errors";
import type { Effect } from "./faults";

type AnswerEffect = Extract<Effect, { type: "answer" }>;

const CODES: Readonly<Record<number, readonly [code: string, message: string, longMessage: string]>> = {
  401: [
    "clerk_key_invalid",
    "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.",
    "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.",
  ],
  403: ["authorization_invalid", "Unauthorized request", "You are not authorized to perform this request"],
  409: [
    "resource_locked",
    "resource busy",
    "This resource is currently being modified by another request. Please try again.",
  ],
  429: ["too_many_requests", "Too many requests", "Too many requests, retry later"],
  500: [
    "internal_clerk_error",
    "Oops, an unexpected error occurred",
    "There was an internal error on our servers. We've been notified and are working on fixing it.",
  ],
  503: ["service_unavailable", "Service unavailable", "Service unavailable"],
  504: ["gateway_timeout", "Gateway Timeout", "A request to a 3rd party service timed out"],
};

/** The answer a fault gives. Without a body of its own: Clerk's, or a proxy's page where Clerk would not be reached. */
export function faultAnswer({ status, body, contentType, retryAfter }: AnswerEffect): Answer {
  const headers: Record<string, string> =
    retryAfter === undefined ? {} : { "retry-after": retryAfter.toString() };
  if (typeof body === "string") return { status, body, contentType: contentType ?? "text/html", headers };
  if (body !== undefined) {
    return { status, body: JSON.stringify(body), contentType: contentType ?? "application/json", headers };
  }
  const known = CODES[status];
  if (!known) {
    const page = `<html><head><title>${status}</title></head><body><h1>Error ${status}</h1></body></html>`;
    return { status, body: page, contentType: contentType ?? "text/html", headers };
  }
  const [code, message, longMessage] = known;
  const items = [{ code, message, long_message: longMessage }];
  return {
    status,
    body: JSON.stringify(errorBody(items)),
    contentType: contentType ?? "application/json",
    headers,
  };
}
