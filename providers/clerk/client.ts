import { createClerkClient } from "@clerk/backend";
import DataLoader from "dataloader";
import { z } from "zod";

import type { Hasher } from "../postgres/legacy-users";
import { ClerkError, isClerksAnswer, isNotFound, isOutcomeUnknown, unanswered } from "./errors";
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
 * Clerk's Backend API, as much of it as a migration needs. Everything it throws is a ClerkError.
 *
 * A write counts as done when Clerk's own answer says so, about the very thing that was written. Any other answer (a
 * page, `{}`, nothing, somebody else) leaves the outcome unknown. What may be sent twice is sent again then, which asks
 * Clerk once more. `createUser`, `createInvitation` and `createSignInToken` are never repeated: the caller looks up first.
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
        const verified = z.object({ verified: z.literal(true) });
        const path = userPath(clerkUserId, "/verify_password");
        await plain(reading("POST /users/{id}/verify_password"), "POST", path, verified, { password });
        return true;
      } catch (error) {
        // Not the password (422), or none at all (400).
        if (isClerksAnswer(error, [422, 400])) return false;
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
      const isMeant = (made: ClerkUser) => made.externalId === user.externalId;
      return send(writingOnce("POST /users"), async () =>
        meant(
          "POST /users",
          isMeant,
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
        ),
      );
    },

    /** Names, date and password; an absent field stays, a null name is emptied. */
    updateUser(clerkUserId: string, changes: ClerkUserChanges): Promise<ClerkUser> {
      return plain(writing("PATCH /users/{id}"), "PATCH", userPath(clerkUserId), userOf(clerkUserId), {
        ...(changes.firstName === undefined ? {} : { first_name: changes.firstName ?? "" }),
        ...(changes.lastName === undefined ? {} : { last_name: changes.lastName ?? "" }),
        ...(changes.createdAt === undefined ? {} : { created_at: changes.createdAt }),
        ...(changes.password === undefined
          ? {}
          : { password_digest: changes.password.digest, password_hasher: changes.password.hasher }),
      });
    },

    /** Of a user that we adopt; null gives it back as it was. */
    setExternalId(clerkUserId: string, externalId: string | null): Promise<ClerkUser> {
      const changed = userOf(clerkUserId).refine((user) => user.externalId === externalId);
      return plain(writing("PATCH /users/{id}"), "PATCH", userPath(clerkUserId), changed, {
        external_id: externalId,
      });
    },

    /** Makes this the user's only address, verified, without a mail to the old one. */
    async replaceEmail(clerkUserId: string, emailAddress: string): Promise<void> {
      const replaced = z
        .object({ email_address: z.string() })
        .refine((address) => address.email_address.toLowerCase() === emailAddress.toLowerCase());
      const path = userPath(clerkUserId, "/email_address");
      await plain(writing("PUT /users/{id}/email_address"), "PUT", path, replaced, {
        email_address: emailAddress,
      });
    },

    /** Sets the mark, or with null takes it away; other private metadata stays. */
    setMark(clerkUserId: string, mark: Mark | null): Promise<ClerkUser> {
      const marked = userOf(clerkUserId).refine((user) => (user.mark === null) === (mark === null));
      const path = userPath(clerkUserId, "/metadata");
      return plain(writing("PATCH /users/{id}/metadata"), "PATCH", path, marked, {
        private_metadata: { [markKey]: mark },
      });
    },

    /** For `eraseUser` alone, which knows who may go. Gone already is as good as deleted now. */
    async deleteUser(clerkUserId: string): Promise<void> {
      const deleted = z.object({ id: z.literal(clerkUserId), deleted: z.literal(true) });
      try {
        await plain(writing("DELETE /users/{id}"), "DELETE", userPath(clerkUserId), deleted);
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isOutcomeUnknown(error) || (await byId.load(clerkUserId)) !== undefined) throw error;
      }
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
        const isMeant = (made: ClerkInvitation) =>
          made.emailAddress.toLowerCase() === invitation.emailAddress.toLowerCase();
        return meant("POST /invitations", isMeant, invitationSchema.parse(created.raw));
      });
    },

    /** Those of one address, revoked ones left out, newest first. */
    async invitationsTo(address: string): Promise<ClerkInvitation[]> {
      const query = new URLSearchParams({ query: address, limit: PAGE.toString(), paginated: "true" });
      const schema = z.object({ data: z.array(invitationSchema) });
      const { data } = await get("GET /invitations", `/invitations?${query.toString()}`, schema);
      return data.filter((invitation) => invitation.emailAddress.toLowerCase() === address);
    },

    /** Every invitation of the instance that is not revoked, 500 a request. */
    async allInvitations(): Promise<ClerkInvitation[]> {
      const schema = z.object({ data: z.array(invitationSchema) });
      const all: ClerkInvitation[] = [];
      for (;;) {
        const query = new URLSearchParams({
          ...{ limit: ALL_PAGE.toString(), paginated: "true", order_by: "created_at" },
          offset: all.length.toString(),
        });
        const { data } = await get("GET /invitations", `/invitations?${query.toString()}`, schema);
        all.push(...data);
        if (data.length < ALL_PAGE) return all;
      }
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
    revokeInvitation(invitationId: string): Promise<boolean> {
      const path = `/invitations/${encodeURIComponent(invitationId)}/revoke`;
      return hasRevoked(plain(writing("POST /invitations/{id}/revoke"), "POST", path, revoked(invitationId)));
    },

    /**
     * A link that signs the user in once. Its secret is in the answer alone: what is thrown tells nothing of it, since
     * the cause of an unreadable answer would quote it.
     */
    async createSignInToken(clerkUserId: string, expiresInSeconds: number): Promise<SignInToken> {
      const made = signInTokenSchema
        .extend({ user_id: z.literal(clerkUserId) })
        .transform(({ id, url, token }) => ({ id, url, token }));
      return plain(writingOnce("POST /sign_in_tokens"), "POST", "/sign_in_tokens", made, {
        user_id: clerkUserId,
        expires_in_seconds: expiresInSeconds,
      });
    },

    /** False where there is nothing to revoke any more: used, expired, revoked or gone. */
    revokeSignInToken(signInTokenId: string): Promise<boolean> {
      const path = `/sign_in_tokens/${encodeURIComponent(signInTokenId)}/revoke`;
      // The answer holds the token again: nothing but id and status is looked at.
      return hasRevoked(
        plain(writing("POST /sign_in_tokens/{id}/revoke"), "POST", path, revoked(signInTokenId)),
      );
    },
  };
}

/** Servers on the way take addresses of 8 KB or so: long values need more requests. */
const LONGEST_QUERY = 6_000;

const signed: ReadonlySet<UserFilter> = new Set(["user_id", "external_id"]);

function cutIntoQueries(filter: UserFilter, values: readonly string[]): string[] {
  const queries: string[][] = [];
  let length = 0;
  for (const value of values) {
    // Of an id Clerk reads a leading + or - as "with" or "without": an id that begins like that needs one of its own.
    const parameter = new URLSearchParams([[filter, signed.has(filter) ? `+${value}` : value]]).toString();
    const last = queries.at(-1);
    length += parameter.length + 1;
    if (last === undefined || last.length === PAGE || length > LONGEST_QUERY) {
      queries.push([parameter]);
      length = parameter.length;
    } else last.push(parameter);
  }
  return queries.map((query) => query.join("&"));
}

function userPath(clerkUserId: string, rest = ""): string {
  return `/users/${encodeURIComponent(clerkUserId)}${rest}`;
}

/** An answer about this user and no other. */
function userOf(clerkUserId: string) {
  return clerkUserSchema.refine((user) => user.id === clerkUserId);
}

function revoked(id: string) {
  return z.object({ id: z.literal(id), status: z.literal("revoked") });
}

function parseUser(user: { raw: unknown }): ClerkUser {
  return clerkUserSchema.parse(user.raw);
}

/** An answer about somebody else says nothing of what was sent. */
function meant<T>(request: string, isMeant: (answer: T) => boolean, answer: T): T {
  if (isMeant(answer)) return answer;
  throw new ClerkError(request, unanswered("an answer about somebody else"));
}

/** Clerk refuses to revoke what is no longer open (400) or is gone (404). */
async function hasRevoked(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (isClerksAnswer(error, [404, 400])) return false;
    throw error;
  }
}
