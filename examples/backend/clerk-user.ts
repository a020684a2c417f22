import type { ClerkClient, User } from "@clerk/backend";
import { isClerkAPIResponseError } from "@clerk/backend/errors";
import { z } from "zod";

import { storable } from "./bodies";
import { withPatience } from "./patience";

/** What decides here about a Clerk user, the same in an event and in an answer. */
export const userFacts = z.object({
  id: storable,
  external_id: z.string().nullish(),
  last_sign_in_at: z.number().nullish(),
  banned: z.boolean().nullish(),
  requires_password_reset: z.boolean().nullish(),
  password_enabled: z.boolean().nullish(),
  password_last_updated_at: z.number().nullish(),
  email_addresses: z.array(z.object({ reserved: z.boolean().nullish() })).default([]),
});

export type UserFacts = z.infer<typeof userFacts>;

/** The SDK's own user lacks some of them, and keeps the raw answer. */
export function factsOf(user: { readonly raw: unknown }): UserFacts {
  return userFacts.parse(user.raw);
}

/** undefined where Clerk has no such user. */
export async function liveUser(clerk: ClerkClient, clerkUserId: string): Promise<User | undefined> {
  try {
    return await withPatience(clerk.users.getUser(clerkUserId));
  } catch (error) {
    if (isClerkAPIResponseError(error) && error.status === 404) return undefined;
    throw error;
  }
}

/** The SDK has it in the raw answer only. */
export function passwordTime(user: User): number {
  const { password_last_updated_at: setAt } = factsOf(user);
  if (setAt == null) throw new Error("Clerk does not say when the password was set.");
  return setAt;
}
