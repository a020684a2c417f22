import { createClerkClient } from "@clerk/backend";
import DataLoader from "dataloader";
import { z } from "zod";

import type { Hasher } from "../postgres/legacy-users";
import { ClerkError, isNotFound } from "./errors";
import { openRequests, type RequestOptions, writing, writingOnce } from "./requests";
import {
  type ClerkInvitation,
  type ClerkUser,
  clerkUserSchema,
  invitationSchema,
  type Mark,
  markKey,
} from "./user";

export interface NewClerkUser {
  readonly externalId: string;
  readonly emailAddress: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
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
  readonly mark: Mark & { readonly userId: string };
}

export interface Instance {
  readonly id: string;
  readonly kind: "development" | "production" | "unknown";
}

export type Clerk = ReturnType<typeof openClerk>;

/** Clerk takes at most 100 values in a filter, and returns 10 unless asked for more. */
const PAGE = 100;

/**
 * Clerk's Backend API, as much of it as a migration needs. Everything it throws is a ClerkError. `createUser` and `createInvitation` are never repeated after an unknown
 * outcome: the caller looks up first.
 */
export function openClerk(options: RequestOptions) {
  const { send, get, count } = openRequests(options);
  const sdk = createClerkClient({ secretKey: options.secretKey, apiUrl: options.apiUrl });
  async function usersBy(filter: "user_id" | "external_id" | "email_address", values: readonly string[]) {
    const query = new URLSearchParams(values.map((value) => [filter, value]));
    query.set("limit", PAGE.toString());
    return get("GET /users", `/users?${query.toString()}`, z.array(clerkUserSchema));
  }

  /** Look-ups that are wanted at the same time share one request. */
  function lookup(
    filter: "user_id" | "external_id" | "email_address",
    matches: (user: ClerkUser, value: string) => boolean,
  ) {
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
    /** How many requests have been sent. */
    requestCount: count,

    /** The instance of the key. Also the cheapest way to find out that the key is wrong. */
    async instance(): Promise<Instance> {
      const schema = z.object({ id: z.string(), environment_type: z.string().optional() });
      const instance = await get("GET /instance", "/instance", schema);
      const kind = instance.environment_type;
      return { id: instance.id, kind: kind === "production" || kind === "development" ? kind : "unknown" };
    },

    /** The Frontend API addresses of the instance. */
    async frontendApiUrls(): Promise<string[]> {
      const schema = z.object({ data: z.array(z.object({ frontend_api_url: z.string() })) });
      const domains = await get("GET /domains", "/domains", schema);
      return domains.data.map((domain) => domain.frontend_api_url);
    },

    /** undefined where there is none. */
    user: (clerkUserId: string): Promise<ClerkUser | undefined> => byId.load(clerkUserId),

    /** At most 100 at a time; those that do not exist are missing from the answer. */
    usersByIds: (clerkUserIds: readonly string[]): Promise<ClerkUser[]> => usersBy("user_id", clerkUserIds),

    userByExternalId: (externalId: string): Promise<ClerkUser | undefined> => byExternalId.load(externalId),

    /** By a lower-case address, primary or not. */
    userByEmail: (address: string): Promise<ClerkUser | undefined> => byEmail.load(address),

    createUser(user: NewClerkUser): Promise<ClerkUser> {
      return send(writingOnce("POST /users"), async () =>
        parseUser(
          await sdk.users.createUser({
            externalId: user.externalId,
            emailAddress: [user.emailAddress],
            privateMetadata: { [markKey]: user.mark },
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

    /** False where there is nothing to revoke any more: accepted, expired, revoked or gone. */
    async revokeInvitation(invitationId: string): Promise<boolean> {
      try {
        await send(writing("POST /invitations/{id}/revoke"), () =>
          sdk.invitations.revokeInvitation(invitationId),
        );
        return true;
      } catch (error) {
        if (error instanceof ClerkError && (error.failure.status === 404 || error.failure.status === 400))
          return false;
        throw error;
      }
    },
  };
}

function parseUser(user: { raw: unknown }): ClerkUser {
  return clerkUserSchema.parse(user.raw);
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
