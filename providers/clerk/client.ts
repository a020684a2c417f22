import { setTimeout as wait } from "node:timers/promises";

import { createClerkClient } from "@clerk/backend";
import DataLoader from "dataloader";
import { z } from "zod";

import type { Hasher } from "../postgres/legacy-users";
import { ClerkError, clerkError, isKeyRefused, unanswered } from "./errors";
import { createLimiter, PausedTooLong } from "./limiter";
import {
  type ClerkInvitation,
  type ClerkUser,
  clerkUserSchema,
  invitationSchema,
  type Mark,
  markKey,
} from "./user";

export interface ClerkOptions {
  readonly secretKey: string;
  readonly apiUrl: string;
  /** Clerk's limit; 0 means Clerk's own for the key's kind. */
  readonly requestsPer10s: number;
  /** Called before every request that writes; what it throws stops the request. */
  readonly beforeWrite?: () => void;
}

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

const TIMEOUT_MS = 30_000;
const API_VERSION = "2026-05-12";

/** Clerk takes at most 100 values in a filter, and returns 10 unless asked for more. */
const PAGE = 100;

/** Clerk's limits per instance (clerk.com/docs, system limits). */
const LIMITS = { production: 1_000, development: 100 };

/** A pause longer than this is not waited for: what is left goes into a later run. */
const LONGEST_PAUSE_S = 60;

/** What is sent again: how often, after how long (ms, doubled each time), and whether a write may be repeated. */
const RETRIES: Readonly<Record<string, { tries: number; delay: number; evenWrites: boolean }>> = {
  // Not carried out; the limiter knows when it may be sent again.
  "429": { tries: 20, delay: 0, evenWrites: true },
  // resource_locked and conflict: not carried out, "please try again".
  "409": { tries: 5, delay: 250, evenWrites: true },
  "500": { tries: 4, delay: 500, evenWrites: false },
  "502": { tries: 5, delay: 500, evenWrites: false },
  "503": { tries: 5, delay: 500, evenWrites: false },
  "504": { tries: 5, delay: 500, evenWrites: false },
  "no-answer": { tries: 5, delay: 500, evenWrites: false },
};

interface Request {
  /** Method and path template, the unit of Clerk's limits: `POST /users`. */
  readonly name: string;
  readonly writes: boolean;
  /** Whether sending it twice does the same as sending it once. */
  readonly repeatable: boolean;
}

const reading = (name: string): Request => ({ name, writes: false, repeatable: true });
const writing = (name: string): Request => ({ name, writes: true, repeatable: true });
const writingOnce = (name: string): Request => ({ name, writes: true, repeatable: false });

/**
 * Clerk's Backend API behind one limiter, with time limits and the listed retries, which the SDK has not.
 * Everything it throws is a ClerkError. `createUser` and `createInvitation` are never repeated after an unknown
 * outcome: the caller looks up first.
 */
export function openClerk(options: ClerkOptions) {
  const sdk = createClerkClient({ secretKey: options.secretKey, apiUrl: options.apiUrl });
  const ownLimit = options.secretKey.startsWith("sk_live_") ? LIMITS.production : LIMITS.development;
  const limiter = createLimiter(options.requestsPer10s || ownLimit, LONGEST_PAUSE_S);
  let refusedKey: ClerkError | undefined;
  let requests = 0;

  async function send<T>(request: Request, attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await sendOnce(request, attempt);
      } catch (error) {
        if (!(error instanceof ClerkError)) throw error;
        const delay = retryDelay(request, error, tries);
        if (delay === undefined) throw error;
        await wait(delay);
      }
    }
  }

  async function sendOnce<T>(request: Request, attempt: () => Promise<T>): Promise<T> {
    await limiter.turn(request.name).catch((error: unknown) => {
      if (!(error instanceof PausedTooLong)) throw error;
      throw new ClerkError(request.name, {
        ...unanswered("rate limit"),
        status: 429,
        retryAfter: error.seconds,
      });
    });
    // A refused key fails every request: the first answer is enough.
    if (refusedKey !== undefined) throw refusedKey;
    if (request.writes) options.beforeWrite?.();
    requests++;
    try {
      return await withTimeout(attempt());
    } catch (error) {
      const failure = clerkError(request.name, error);
      if (failure.failure.status === 429) limiter.pause(request.name, failure.failure.retryAfter ?? 1);
      if (isKeyRefused(failure)) refusedKey = failure;
      throw failure;
    }
  }

  /** A plain GET: the SDK's user list would spend a second request on a count. */
  async function get<T>(name: string, path: string, schema: z.ZodType<T>): Promise<T> {
    return send(reading(name), async () => {
      const response = await fetch(new URL(`/v1${path}`, options.apiUrl), {
        headers: { Authorization: `Bearer ${options.secretKey}`, "Clerk-API-Version": API_VERSION },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      if (!response.ok) throw new ClerkError(name, failureOf(response, text));
      const body = schema.safeParse(jsonOf(text));
      if (!body.success) throw new ClerkError(name, unanswered("an answer of another shape than documented"));
      return body.data;
    });
  }

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
    requestCount: () => requests,

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

    /** Names and password; an absent field stays, a null name is emptied. */
    updateUser(clerkUserId: string, changes: ClerkUserChanges): Promise<ClerkUser> {
      return send(writing("PATCH /users/{id}"), async () =>
        parseUser(
          await sdk.users.updateUser(clerkUserId, {
            ...(changes.firstName === undefined ? {} : { firstName: changes.firstName ?? "" }),
            ...(changes.lastName === undefined ? {} : { lastName: changes.lastName ?? "" }),
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

    /** Takes the mark away; other private metadata stays. */
    async removeMark(clerkUserId: string): Promise<void> {
      await send(writing("PATCH /users/{id}/metadata"), () =>
        sdk.users.updateUserMetadata(clerkUserId, { privateMetadata: { [markKey]: null } }),
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

/** Milliseconds until the next try; undefined where the failure is final. */
function retryDelay(request: Request, error: ClerkError, tries: number): number | undefined {
  const { status, code, retryAfter } = error.failure;
  if (status === 429 && (retryAfter ?? 0) > LONGEST_PAUSE_S) return undefined;
  if (status === 409 && code !== "resource_locked" && code !== "conflict") return undefined;
  const rule = RETRIES[status?.toString() ?? "no-answer"];
  if (rule === undefined || tries >= rule.tries) return undefined;
  if (!request.repeatable && !rule.evenWrites) return undefined;
  return rule.delay * 2 ** (tries - 1) * (0.75 + Math.random() / 2);
}

async function withTimeout<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const timeout = wait(TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${(TIMEOUT_MS / 1000).toString()} s`);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    timer.abort();
    timeout.catch(() => undefined);
  }
}

function parseUser(user: { raw: unknown }): ClerkUser {
  return clerkUserSchema.parse(user.raw);
}

const errorBodySchema = z.object({
  errors: z.array(
    z.object({
      code: z.string(),
      message: z.string(),
      long_message: z.string().optional(),
      meta: z.object({ param_name: z.string().optional() }).optional(),
    }),
  ),
});

function failureOf(response: Response, text: string) {
  const first = errorBodySchema.safeParse(jsonOf(text)).data?.errors[0];
  const retryAfter = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  return {
    status: response.status,
    code: first?.code,
    parameter: first?.meta?.param_name,
    detail: first?.long_message ?? first?.message ?? response.statusText,
    retryAfter: Number.isNaN(retryAfter) ? undefined : retryAfter,
  };
}

/** undefined where it is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof ClerkError && error.failure.status === 404)) throw error;
}
