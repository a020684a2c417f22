import { isClerkAPIResponseError } from "@clerk/backend/errors";
import { z } from "zod";

import { MigrationError } from "../errors";

/** What is known of a request that did not succeed. */
export interface ClerkFailure {
  /** undefined: no answer, or none that could be read, so that the outcome is unknown. */
  readonly status: number | undefined;
  /** Clerk's first error code; undefined where the answer had none. */
  readonly code: string | undefined;
  /** The parameter Clerk complains of, e.g. `email_address`. */
  readonly parameter: string | undefined;
  readonly detail: string;
  /** Seconds until this endpoint answers again. */
  readonly retryAfter: number | undefined;
}

/** A request that Clerk refused, or that never got a readable answer. The message names nobody but a `user_id`. */
export class ClerkError extends MigrationError {
  constructor(
    readonly request: string,
    readonly failure: ClerkFailure,
    options?: ErrorOptions & { userId?: string },
  ) {
    const [reason, remedy] = explain(request, failure);
    const subject = options?.userId === undefined ? "" : `User ${options.userId}: `;
    super(
      `clerk-${failure.code ?? failure.status?.toString() ?? "no-answer"}`,
      subject + reason,
      remedy,
      options,
    );
  }

  /** The same failure, naming the user it is about. */
  about(userId: string): ClerkError {
    return new ClerkError(this.request, this.failure, { cause: this, userId });
  }
}

/** What Clerk has refused names the user it is about; everything else does so already. */
export function aboutUser<T>(error: T, userId: string): T | ClerkError {
  return error instanceof ClerkError ? error.about(userId) : error;
}

/** Clerk itself answered with one of these: what stands between us and Clerk gives a status, too, but no code. */
export function isClerksAnswer(error: unknown, statuses: readonly number[]): boolean {
  if (!(error instanceof ClerkError) || error.failure.code === undefined) return false;
  return error.failure.status !== undefined && statuses.includes(error.failure.status);
}

export function isNotFound(error: unknown): boolean {
  return isClerksAnswer(error, [404]);
}

/** The address or the external id belongs to a user that exists already, who may be ours. */
export function isTaken(error: unknown): error is ClerkError {
  if (!(error instanceof ClerkError) || error.failure.code !== "form_identifier_exists") return false;
  const { parameter } = error.failure;
  return parameter === undefined || parameter === "email_address" || parameter === "external_id";
}

/** The request may or may not have been carried out. */
export function isOutcomeUnknown(error: unknown): error is ClerkError {
  if (!(error instanceof ClerkError)) return false;
  const { status, code } = error.failure;
  // A 404 without Clerk's code is somebody else's: what stands in between may have passed the request on.
  return status === undefined || status >= 500 || status === 408 || (status === 404 && code === undefined);
}

export function isRateLimited(error: unknown): boolean {
  return error instanceof ClerkError && error.failure.status === 429;
}

/** Clerk takes no digest of this form, whatever the shape we recognised. */
export function isDigestRefused(error: unknown): boolean {
  return error instanceof ClerkError && error.failure.code === "form_password_digest_invalid_code";
}

/** The key is wrong, revoked or may not do this: no other request would fare better. */
export function isKeyRefused(error: unknown): boolean {
  return (
    error instanceof ClerkError &&
    (error.failure.status === 401 || error.failure.code === "authorization_invalid")
  );
}

/** Whatever a request threw, as a ClerkError. What the SDK could not read has no status. */
export function clerkError(request: string, error: unknown): ClerkError {
  if (error instanceof ClerkError) return error;
  if (!isClerkAPIResponseError(error)) {
    const detail = error instanceof Error ? error.message : String(error);
    return new ClerkError(request, unanswered(withoutQuotation(detail)), { cause: error });
  }
  const first = error.errors[0];
  // The SDK reports a dropped connection and an unreadable answer under this code, with no HTTP status.
  const answered = first?.code !== "unexpected_error";
  return new ClerkError(request, {
    status: answered ? error.status : undefined,
    code: answered ? first?.code : undefined,
    parameter: metaSchema.safeParse(first?.meta).data?.paramName,
    detail: withoutQuotation(first?.longMessage ?? first?.message ?? error.message),
    retryAfter: error.retryAfter,
  });
}

/** A parser's message quotes the text that it could not read, and with it perhaps an address. */
function withoutQuotation(detail: string): string {
  return detail.includes("JSON") ? "it is no JSON" : detail;
}

/** The SDK leaves it untyped. */
const metaSchema = z.object({ paramName: z.string().optional() });

export function unanswered(detail: string): ClerkFailure {
  return { status: undefined, code: undefined, parameter: undefined, detail, retryAfter: undefined };
}

type Explanation = readonly [reason: string, remedy: string];

/** Cause and remedy by Clerk's error code. Codes and texts: Clerk's list of API errors. */
const byCode: Readonly<Record<string, (failure: ClerkFailure) => Explanation>> = {
  form_identifier_exists: ({ parameter }) => [
    `Clerk has a user with this ${(parameter === undefined || parameter === "email_address" ? "e-mail address" : parameter).replaceAll("_", " ")} already.`,
    "Look at that user in Clerk's dashboard: adopt it, or change one side.",
  ],
  form_param_format_invalid: ({ parameter }) => [
    `Clerk does not take the value of ${parameter ?? "a field"}: its format is invalid.`,
    "Correct it in the users table.",
  ],
  form_password_digest_invalid_code: () => [
    "Clerk does not take this password hash.",
    "Use `passwords: reset`, so that the user sets a new password.",
  ],
  form_username_invalid_length: usernameRefused,
  form_username_invalid_character: usernameRefused,
  form_username_needs_non_number_char: usernameRefused,
  form_username_cannot_be_phone_number: usernameRefused,
  form_data_missing: ({ detail }) => [
    `The Clerk instance requires more than the users table has (${fieldNames(detail)}).`,
    "Make these attributes optional in Clerk's dashboard while the migration runs.",
  ],
  form_param_unknown: ({ parameter }) => [
    `The Clerk instance does not know ${parameter ?? "a field that was sent"}.`,
    "Enable that attribute in Clerk's dashboard while the migration runs.",
  ],
  form_disallow_future_date: () => [
    "The user's created_at lies in the future.",
    "Correct it in the users table.",
  ],
  user_quota_exceeded: ({ detail }) => [
    `The Clerk instance is full (${detail.match(/limit of \d+ users/)?.[0] ?? "its limit of users is reached"}).`,
    "Use a production instance, or remove users from this one.",
  ],
  not_allowed_access: () => [
    "The Clerk instance's restrictions refuse this address (allow list, block list, sub-addresses or disposable domains).",
    "Change the restriction in Clerk's dashboard, or the address.",
  ],
  duplicate_record: () => [
    "An invitation to this address is pending already, and it is not ours.",
    "Revoke it in Clerk's dashboard, or let it be answered; the next `up` tries again.",
  ],
  clerk_key_invalid: () => [
    "Clerk does not know the key in CLERK_SECRET_KEY.",
    "Copy the secret key again from the dashboard, API keys, of the instance you mean.",
  ],
  authorization_invalid: () => [
    "The key in CLERK_SECRET_KEY may not do this.",
    "Use a secret key of the instance itself.",
  ],
  user_managed_by_scim: () => [
    "The user is managed by SCIM and cannot be deleted here.",
    "Delete the user at its directory.",
  ],
};

function usernameRefused(): Explanation {
  return [
    "Clerk does not take the user name: the instance's rules allow other characters, or another length.",
    "Change it in the users table, or the rules in Clerk's dashboard, or send none: leave usernameColumn out.",
  ];
}

function explain(request: string, failure: ClerkFailure): Explanation {
  const known = failure.code === undefined ? undefined : byCode[failure.code];
  if (known !== undefined) return known(failure);
  if (failure.status === undefined) {
    return [
      `Clerk gave no readable answer to ${request} (${failure.detail}).`,
      "Check the network and CLERK_API_URL, and run the command again; it continues.",
    ];
  }
  if (failure.status === 429) {
    return [
      `Clerk's rate limit for ${request} is used up${failure.retryAfter === undefined ? "" : ` for ${failure.retryAfter.toString()} s`}.`,
      "Run the command again later; it continues.",
    ];
  }
  if (failure.status >= 500) {
    return [
      `Clerk failed at ${request} (status ${failure.status.toString()}).`,
      "Look at status.clerk.com and run the command again; it continues.",
    ];
  }
  return [
    `Clerk refused ${request} (status ${failure.status.toString()}, ${failure.code ?? "no error code"}).`,
    "Look the code up in Clerk's error list, mend the cause and run the command again.",
  ];
}

/** The names in `["phone_number" "username"] data doesn't match …`; nothing else of the text, which is dynamic. */
function fieldNames(detail: string): string {
  const names = [...detail.matchAll(/"([a-z_]+)"/g)].map((match) => match[1]);
  return names.length === 0 ? "an attribute" : names.join(", ");
}
