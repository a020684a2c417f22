import { createClerkClient } from "@clerk/backend";
import { isClerkAPIResponseError } from "@clerk/backend/errors";
import { hashSync } from "bcryptjs";

import type { LocalClerk } from "../../../sandbox/clerk/server";

/** What the legacy system knew of everybody in these tests. */
export const PASSWORD = "the old password";
export const DIGEST = hashSync(PASSWORD, 4);

export const SAM = {
  emailAddress: ["sam@example.com"],
  externalId: "7",
  firstName: "Sam",
  passwordDigest: DIGEST,
  passwordHasher: "bcrypt",
} as const;

/** A user's parameters in the SDK's words: Sam's, apart from what is given. */
export function legacyUser(changes: Record<string, unknown> = {}) {
  return { ...SAM, emailAddress: [...SAM.emailAddress], ...changes };
}

export function clientOf(clerk: LocalClerk) {
  return createClerkClient({ secretKey: clerk.secretKey, apiUrl: clerk.url });
}

export interface Refused {
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly parameter: string | undefined;
  readonly retryAfter: number | undefined;
  readonly text: string | undefined;
}

/** The Backend API as it is, where the SDK has no way to say something. */
export function ask(clerk: LocalClerk, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(`${clerk.url}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${clerk.secretKey}`, "content-type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
}

/** How the SDK reports that Clerk said no. */
export async function refusal(request: Promise<unknown>): Promise<Refused> {
  try {
    await request;
  } catch (error) {
    if (!isClerkAPIResponseError(error)) throw error;
    const [first] = error.errors;
    return {
      status: error.status,
      code: first?.code,
      parameter: parameterOf(first?.meta),
      retryAfter: error.retryAfter,
      text: first?.longMessage,
    };
  }
  throw new Error("Clerk was expected to refuse this.");
}

/** The SDK does not say of what type it is. */
function parameterOf(meta: unknown): string | undefined {
  const named = typeof meta === "object" && meta !== null && "paramName" in meta ? meta.paramName : undefined;
  return typeof named === "string" ? named : undefined;
}
