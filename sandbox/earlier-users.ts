import { newId } from "./clerk/ids";
import type { Store } from "./clerk/server";
import { earlierClerkUsers, sampleUsers } from "./sample-users";

/** Gives the local Clerk everybody it knew before the migration; the linked ones with the password of the sample. */
export function addEarlierUsers(store: Store): void {
  for (const { id, email, firstName, lastName, createdAt } of earlierClerkUsers) {
    const time = Date.parse(createdAt);
    const digest = sampleUsers.find((user) => user.clerkUserId === id)?.passwordDigest ?? null;
    const address = {
      id: newId("idn"),
      emailAddress: email,
      status: "verified",
      strategy: "admin",
      createdAt: time,
      updatedAt: time,
    } as const;
    store.putUser({
      id,
      externalId: null,
      username: null,
      firstName,
      lastName,
      locale: null,
      emailAddresses: [address],
      primaryEmailAddressId: address.id,
      phoneNumbers: [],
      password: digest === null ? null : { digest, hasher: "bcrypt", updatedAt: time },
      requiresPasswordReset: false,
      publicMetadata: {},
      privateMetadata: {},
      unsafeMetadata: {},
      banned: false,
      locked: false,
      totpEnabled: false,
      backupCodeEnabled: false,
      bypassClientTrust: false,
      deleteSelfEnabled: true,
      createOrganizationEnabled: true,
      createOrganizationsLimit: null,
      legalAcceptedAt: null,
      lastSignInAt: null,
      lastActiveAt: null,
      createdAt: time,
      updatedAt: time,
    });
  }
}
