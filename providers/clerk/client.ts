import { createClerkClient } from "@clerk/backend";
import DataLoader from "dataloader";
import { z } from "zod";

import type { Hasher } from "../postgres/legacy-users";
import { ClerkError, isNotFound } from "./errors";
import { openRequests, reading, type RequestOptions, writing, writingOnce } from "./requests";
import {
  type ClerkInvitation,
  type ClerkUser,
  clerkUserSchema,
  type InvitationMark,
  invitationSchema,
  type Mark,
  markKey,
} from "./user";

export interface NewClerkUser {
  readonly externalId: string;
  readonly emailAddress: string;
  /** reserved: nobody else can claim it, and it proves nothing. */
  readonly emailStatus?: "verified" | "reserved";
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly username?: string | null;
  /** E.164. */
  readonly phoneNumber?: string | null;
  readonly publicMetadata?: Readonly<Record<string, unknown>> | null;
  readonly privateMetadata?: Readonly<Record<string, unknown>> | null;
  /** The application has the user's consent to the terms, or does without. */
  readonly skipLegalChecks?: boolean;
  /** Spares the user Device Trust's code at the first sign-in. */
  readonly bypassDeviceTrust?: boolean;
  /** RFC 3339. */
  readonly createdAt: string | null;
  /** null creates the user without a password. */
  readonly password: { readonly digest: string; readonly hasher: Hasher } | null;
  readonly mark: Mark;
}

export interface ClerkUserChanges {
  readonly firstName?: string | null;
  readonly lastName?: string | null;
  /** RFC 3339. */
  readonly createdAt?: string;
  readonly password?: { readonly digest: string; readonly hasher: Hasher };
}

export interface NewInvitation {
  readonly emailAddress: string;
  readonly redirectUrl: string | null;
  /** 1 to 365. @default Clerk's, 30 */
  readonly expiresInDays?: number;
  readonly mark: InvitationMark;
}

export interface SignInToken {
  readonly id: string;
  /** Whoever has it, or the token, signs in as the user. */
  readonly url: string;
  readonly token: string;
}

const signInTokenSchema = z.object({ id: z.string(), url: z.string(), token: z.string() });

export interface Instance {
  readonly id: string;
  readonly kind: "development" | "production" | "unknown";
  /** Empty where the instance names none. */
  readonly allowedOrigins: readonly string[];
}

export type UserFilter = "user_id" | "external_id" | "email_address" | "username" | "phone_number";

export type Clerk = ReturnType<typeof openClerk>;

/** Clerk takes at most 100 values in a filter, and returns 10 unless asked for more. */
const PAGE = 100;
const ALL_PAGE = 500;

/**
 * Clerk's Backend API, as much of it as a migration needs. Everything it throws is a ClerkError. `createUser` and `createInvitation` are never repeated after an unknown
 * outcome: the caller looks up first.
 */
export function openClerk(options: RequestOptions) {
  const { send, get, plain, figures } = openRequests(options);
  const sdk = createClerkClient({ secretKey: options.secretKey, apiUrl: options.apiUrl });
  async function usersBy(filter: UserFilter, values: readonly string[]): Promise<ClerkUser[]> {
    const pages = cutIntoQueries(filter, values).map((query) =>
      get("GET /users", `/users?${query}&limit=${PAGE.toString()}`, z.array(clerkUserSchema)),
    );
    return (await Promise.all(pages)).flat();
  }

  /** All users whom the filter lets through, page by page. */
  async function everybody<T extends { readonly id: string }>(
    filter: Readonly<Record<string, string>>,
    user: z.ZodType<T>,
  ): Promise<T[]> {
    const users: T[] = [];
    for (;;) {
      const after = users.at(-1)?.id;
      const query = new URLSearchParams({
        limit: ALL_PAGE.toString(),
        order_by: "-created_at",
        ...filter,
        ...(after === undefined ? {} : { starting_after: after }),
      });
      const page = await get("GET /users", `/users?${query.toString()}`, z.array(user));
      users.push(...page);
      if (page.length < ALL_PAGE) return users;
    }
  }

  /** Look-ups that are wanted at the same time share one request. */
  function lookup(filter: UserFilter, matches: (user: ClerkUser, value: string) => boolean) {
    return new DataLoader<string, ClerkUser | undefined>(
      async (values) => {
        const found = await usersBy(filter, values);
        return values.map((value) => found.find((user) => matches(user, value)));
      },
      { maxBatchSize: PAGE, cache: false, batchScheduleFn: (dispatch) => setTimeout(dispatch, 5) },
    );
  }
  const byId = lookup("user_id", (user, value) => user.id === value);
  const byExternalId = lookup("external_id", (user, value) => user.externalId === value);
  const byEmail = lookup("email_address", (user, value) =>
    user.emails.some((email) => email.address.toLowerCase() === value),
  );

  return {
    /** How many requests have been sent, and what became of them. */
    figures,

    /** The instance of the key. Also the cheapest way to find out that the key is wrong. */
    async instance(): Promise<Instance> {
      const schema = z.object({
        id: z.string(),
        environment_type: z.string().optional(),
        allowed_origins: z.array(z.string()).nullish(),
      });
      const instance = await get("GET /instance", "/instance", schema);
      const kind = instance.environment_type;
      return {
        id: instance.id,
        kind: kind === "production" || kind === "development" ? kind : "unknown",
        allowedOrigins: instance.allowed_origins ?? [],
      };
    },

    /** The Frontend API addresses of the instance. */
    async frontendApiUrls(): Promise<string[]> {
      const schema = z.object({ data: z.array(z.object({ frontend_api_url: z.string() })) });
      const domains = await get("GET /domains", "/domains", schema);
      return domains.data.map((domain) => domain.frontend_api_url);
    },

    /** undefined where there is none. */
    user: (clerkUserId: string): Promise<ClerkUser | undefined> => byId.load(clerkUserId),

    /** One request for each 100 values; those that do not exist are missing from the answer. */
    usersBy,

    /** Every user of the instance, 500 a request. */
    allUsers: (): Promise<ClerkUser[]> => everybody({}, clerkUserSchema),

    /** Whether Clerk takes this password of a user who has one. */
    async isPassword(clerkUserId: string, password: string): Promise<boolean> {
      try {
        await send(reading("POST /users/{id}/verify_password"), () =>
          sdk.users.verifyPassword({ userId: clerkUserId, password }),
        );
        return true;
      } catch (error) {
        // Not the password (422), or none at all (400).
        if (error instanceof ClerkError && (error.failure.status === 422 || error.failure.status === 400))
          return false;
        throw error;
      }
    },

    /** How many users the instance has. */
    async userCount(): Promise<number> {
      const schema = z.object({ total_count: z.number() });
      return (await get("GET /users/count", "/users/count", schema)).total_count;
    },

    /** Addresses and domains that the instance lets in, or keeps out, where such a list is on. */
    async accessList(kind: "allowlist" | "blocklist"): Promise<string[]> {
      const entries = z.array(z.object({ identifier: z.string() }));
      const schema = z.union([entries, z.object({ data: entries }).transform(({ data }) => data)]);
      const page = kind === "allowlist" ? "?limit=500" : "";
      const found = await get(`GET /${kind}_identifiers`, `/${kind}_identifiers${page}`, schema);
      return found.map(({ identifier }) => identifier);
    },

    userByExternalId: (externalId: string): Promise<ClerkUser | undefined> => byExternalId.load(externalId),

    /** By a lower-case address, primary or not. */
    userByEmail: (address: string): Promise<ClerkUser | undefined> => byEmail.load(address),

    createUser(user: NewClerkUser): Promise<ClerkUser> {
      return send(writingOnce("POST /users"), async () =>
        parseUser(
          await sdk.users.createUser({
            externalId: user.externalId,
            emailAddress: [user.emailAddress],
            ...(user.emailStatus === "reserved" ? { emailAddressIdentificationStatus: ["reserved"] } : {}),
            ...(user.username == null ? {} : { username: user.username }),
            ...(user.phoneNumber == null ? {} : { phoneNumber: [user.phoneNumber] }),
            ...(user.publicMetadata == null ? {} : { publicMetadata: { ...user.publicMetadata } }),
            privateMetadata: { ...user.privateMetadata, [markKey]: user.mark },
            ...(user.skipLegalChecks === true ? { skipLegalChecks: true } : {}),
            ...(user.bypassDeviceTrust === true ? { bypassClientTrust: true } : {}),
            ...(user.firstName === null ? {} : { firstName: user.firstName }),
            ...(user.lastName === null ? {} : { lastName: user.lastName }),
            ...(user.createdAt === null ? {} : { createdAt: new Date(user.createdAt) }),
            ...(user.password === null
              ? { skipPasswordRequirement: true }
              : { passwordDigest: user.password.digest, passwordHasher: user.password.hasher }),
          }),
        ),
      );
    },

    /** Names, date and password; an absent field stays, a null name is emptied. */
    updateUser(clerkUserId: string, changes: ClerkUserChanges): Promise<ClerkUser> {
      return send(writing("PATCH /users/{id}"), async () =>
        parseUser(
          await sdk.users.updateUser(clerkUserId, {
            ...(changes.firstName === undefined ? {} : { firstName: changes.firstName ?? "" }),
            ...(changes.lastName === undefined ? {} : { lastName: changes.lastName ?? "" }),
            ...(changes.createdAt === undefined ? {} : { createdAt: new Date(changes.createdAt) }),
            ...(changes.password === undefined
              ? {}
              : { passwordDigest: changes.password.digest, passwordHasher: changes.password.hasher }),
          }),
        ),
      );
    },

    /** Of a user that we adopt; null gives it back as it was. The SDK's type has no null. */
    setExternalId(clerkUserId: string, externalId: string | null): Promise<ClerkUser> {
      const path = `/users/${encodeURIComponent(clerkUserId)}`;
      return plain(writing("PATCH /users/{id}"), "PATCH", path, clerkUserSchema, {
        external_id: externalId,
      });
    },

    /** Makes this the user's only address, verified, without a mail to the old one. */
    async replaceEmail(clerkUserId: string, emailAddress: string): Promise<void> {
      await send(writing("PUT /users/{id}/email_address"), () =>
        sdk.users.replaceUserEmailAddress(clerkUserId, { emailAddress }),
      );
    },

    /** Sets the mark, or with null takes it away; other private metadata stays. */
    setMark(clerkUserId: string, mark: Mark | null): Promise<ClerkUser> {
      return send(writing("PATCH /users/{id}/metadata"), async () =>
        parseUser(await sdk.users.updateUserMetadata(clerkUserId, { privateMetadata: { [markKey]: mark } })),
      );
    },

    /** Gone already is as good as deleted now. */
    async deleteUser(clerkUserId: string): Promise<void> {
      await send(writing("DELETE /users/{id}"), () => sdk.users.deleteUser(clerkUserId)).catch(
        ignoreNotFound,
      );
    },

    createInvitation(invitation: NewInvitation): Promise<ClerkInvitation> {
      return send(writingOnce("POST /invitations"), async () => {
        const created = await sdk.invitations.createInvitation({
          emailAddress: invitation.emailAddress,
          // The address has an account already: ours. Clerk refuses to invite it otherwise.
          ignoreExisting: true,
          notify: true,
          publicMetadata: { [markKey]: invitation.mark },
          ...(invitation.redirectUrl === null ? {} : { redirectUrl: invitation.redirectUrl }),
          ...(invitation.expiresInDays === undefined ? {} : { expiresInDays: invitation.expiresInDays }),
        });
        return invitationSchema.parse(created.raw);
      });
    },

    /** Those of one address, revoked ones left out, newest first. */
    async invitationsTo(address: string): Promise<ClerkInvitation[]> {
      const query = new URLSearchParams({ query: address, limit: PAGE.toString(), paginated: "true" });
      const schema = z.object({ data: z.array(invitationSchema) });
      const { data } = await get("GET /invitations", `/invitations?${query.toString()}`, schema);
      return data.filter((invitation) => invitation.emailAddress.toLowerCase() === address);
    },

    /** The newest 500 of the instance, whoever made them, and the newest 500 revoked ones, which Clerk lists apart. */
    async recentInvitations(): Promise<ClerkInvitation[]> {
      const page = async (filter: Readonly<Record<string, string>>) => {
        const query = new URLSearchParams({
          ...{ limit: "500", paginated: "true", order_by: "-created_at" },
          ...filter,
        });
        const schema = z.object({ data: z.array(invitationSchema) });
        return (await get("GET /invitations", `/invitations?${query.toString()}`, schema)).data;
      };
      return (await Promise.all([page({}), page({ status: "revoked" })])).flat();
    },

    /** Who has ever signed in: by Clerk's user id, milliseconds since 1970 of the last time. 500 a request. */
    async arrivals(): Promise<Map<string, number>> {
      const schema = z.object({ id: z.string(), last_sign_in_at: z.number().nullable() });
      // The filter drops 0.
      const users = await everybody({ last_sign_in_at_after: "1" }, schema);
      return new Map(users.map((user) => [user.id, user.last_sign_in_at ?? 0]));
    },

    /** False where there is nothing to revoke any more: accepted, expired, revoked or gone. */
    revokeInvitation: (invitationId: string): Promise<boolean> =>
      hasRevoked(
        send(writing("POST /invitations/{id}/revoke"), () => sdk.invitations.revokeInvitation(invitationId)),
      ),

    /**
     * A link that signs the user in once. Its secret is in the answer alone: what is thrown tells nothing of it, since
     * the cause of an unreadable answer would quote it.
     */
    async createSignInToken(clerkUserId: string, expiresInSeconds: number): Promise<SignInToken> {
      return plain(writingOnce("POST /sign_in_tokens"), "POST", "/sign_in_tokens", signInTokenSchema, {
        user_id: clerkUserId,
        expires_in_seconds: expiresInSeconds,
      });
    },

    /** False where there is nothing to revoke any more: used, expired, revoked or gone. */
    revokeSignInToken(signInTokenId: string): Promise<boolean> {
      const path = `/sign_in_tokens/${encodeURIComponent(signInTokenId)}/revoke`;
      // The answer holds the token again: it is not even looked at.
      return hasRevoked(plain(writing("POST /sign_in_tokens/{id}/revoke"), "POST", path, z.unknown()));
    },
  };
}

/** Servers on the way take addresses of 8 KB or so: long values need more requests. */
const LONGEST_QUERY = 6_000;

function cutIntoQueries(filter: UserFilter, values: readonly string[]): string[] {
  const queries: string[][] = [];
  let length = 0;
  for (const value of values) {
    const parameter = new URLSearchParams([[filter, value]]).toString();
    const last = queries.at(-1);
    length += parameter.length + 1;
    if (last === undefined || last.length === PAGE || length > LONGEST_QUERY) {
      queries.push([parameter]);
      length = parameter.length;
    } else last.push(parameter);
  }
  return queries.map((query) => query.join("&"));
}

function parseUser(user: { raw: unknown }): ClerkUser {
  return clerkUserSchema.parse(user.raw);
}

/** Clerk refuses to revoke what is no longer open (400) or is gone (404). */
async function hasRevoked(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (error instanceof ClerkError && (error.failure.status === 404 || error.failure.status === 400))
      return false;
    throw error;
  }
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
