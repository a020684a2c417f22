import type { z } from "zod";

/** A JSON object, as metadata is one. */
export type Metadata = Readonly<Record<string, z.core.util.JSONType>>;

export interface EmailAddress {
  readonly id: string;
  readonly emailAddress: string;
  /** `reserved` signs in and belongs to this user alone, though unproven; `unverified` does neither. */
  readonly status: "verified" | "reserved" | "unverified";
  /** Who vouched for it: a backend, or the click on an invitation. */
  readonly strategy: "admin" | "ticket";
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface PhoneNumber {
  readonly id: string;
  readonly phoneNumber: string;
  readonly reserved: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Password {
  readonly digest: string;
  readonly hasher: string;
  readonly updatedAt: number;
}

/** Times are milliseconds since 1970, as Clerk gives them. */
export interface User {
  readonly id: string;
  readonly externalId: string | null;
  readonly username: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly locale: string | null;
  readonly emailAddresses: readonly EmailAddress[];
  readonly primaryEmailAddressId: string | null;
  readonly phoneNumbers: readonly PhoneNumber[];
  readonly password: Password | null;
  /** Compromised, or carried over for an address that nobody has proven yet. */
  readonly requiresPasswordReset: boolean;
  readonly publicMetadata: Metadata;
  readonly privateMetadata: Metadata;
  readonly unsafeMetadata: Metadata;
  readonly banned: boolean;
  readonly locked: boolean;
  readonly totpEnabled: boolean;
  readonly backupCodeEnabled: boolean;
  readonly bypassClientTrust: boolean;
  readonly deleteSelfEnabled: boolean;
  readonly createOrganizationEnabled: boolean;
  readonly createOrganizationsLimit: number | null;
  readonly legalAcceptedAt: number | null;
  readonly lastSignInAt: number | null;
  readonly lastActiveAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Invitation {
  readonly id: string;
  readonly emailAddress: string;
  readonly publicMetadata: Metadata;
  /** Clerk also says `expired`: that is `pending` after `expiresAt`. */
  readonly status: "pending" | "accepted" | "revoked";
  readonly ticket: string;
  readonly url: string;
  readonly redirectUrl: string | null;
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface SignInToken {
  readonly id: string;
  readonly userId: string;
  readonly status: "pending" | "accepted" | "revoked";
  readonly token: string;
  readonly url: string;
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly status: "active" | "revoked" | "removed";
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expireAt: number;
}

/** A mail that Clerk would have sent. */
export interface Mail {
  readonly id: string;
  readonly to: string;
  readonly kind: "invitation" | "waitlist_invitation" | "primary_email_address_changed";
  readonly url: string | null;
  readonly at: number;
  readonly delivered: boolean;
  readonly undeliveredBecause: "monthly limit" | "test address" | null;
}

/** What is remembered of a request. Bodies are not: they hold digests and passwords. */
export interface LoggedRequest {
  readonly at: number;
  readonly method: string;
  /** As it was asked for, e.g. `/v1/users/user_2x…`. */
  readonly path: string;
  /** As Clerk's reference names it, e.g. `GET /users/{user_id}`: what faults and tests go by. */
  readonly kind: string;
  readonly queryKeys: readonly string[];
  /** What the client saw; null if it saw nothing it could read. */
  readonly status: number | null;
  /** Whether the request was carried out and was one that writes, whatever the client saw. */
  readonly wrote: boolean;
  readonly fault: string | null;
}
