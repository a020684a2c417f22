import { clerkUser } from "./clerk/new-user";
import type { Store } from "./clerk/server";
import { earlierClerkUsers, sampleUsers } from "./sample-users";

/** Gives the local Clerk everybody it knew before the migration; the linked ones with the password of the sample. */
export function addEarlierUsers(store: Store): void {
  for (const { id, email, firstName, lastName, createdAt } of earlierClerkUsers) {
    const time = Date.parse(createdAt);
    const digest = sampleUsers.find((user) => user.clerkUserId === id)?.passwordDigest ?? null;
    store.putUser({
      ...clerkUser({ id, email, createdAt: time }),
      firstName,
      lastName,
      password: digest === null ? null : { digest, hasher: "bcrypt", updatedAt: time },
    });
  }
}
