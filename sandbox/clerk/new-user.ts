import type { EmailAddress, User } from "./records";

export interface Person {
  readonly id: string;
  readonly email: string;
  /** @default verified */
  readonly status?: EmailAddress["status"];
  readonly externalId?: string | null;
  readonly username?: string | null;
  readonly privateMetadata?: User["privateMetadata"];
  /** Milliseconds since 1970. */
  readonly createdAt?: number;
}

/** Somebody whom Clerk has already, as its store keeps a user: put there without a request. */
export function clerkUser({
  id,
  email,
  status = "verified",
  externalId = null,
  username = null,
  privateMetadata = {},
  createdAt = Date.UTC(2023, 0, 1),
}: Person): User {
  const addressId = `idn_${id}`;
  return {
    id,
    externalId,
    username,
    firstName: null,
    lastName: null,
    locale: null,
    emailAddresses: [
      { id: addressId, emailAddress: email, status, strategy: "admin", createdAt, updatedAt: createdAt },
    ],
    primaryEmailAddressId: addressId,
    phoneNumbers: [],
    password: null,
    requiresPasswordReset: false,
    publicMetadata: {},
    privateMetadata,
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
    createdAt,
    updatedAt: createdAt,
  };
}
