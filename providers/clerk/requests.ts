import { setTimeout as wait } from "node:timers/promises";

import { z } from "zod";

import { ClerkError, clerkError, isKeyRefused, unanswered } from "./errors";
import { createLimiter, PausedTooLong } from "./limiter";

export interface RequestOptions {
  readonly secretKey: string;
  readonly apiUrl: string;
  /** Clerk's limit; 0 means Clerk's own for the key's kind. */
  readonly requestsPer10s: number;
  /** Called before every request that writes; what it throws stops the request. */
  readonly beforeWrite?: (request: string) => void;
  /** How long an answer may take. @default 30,000 */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
const API_VERSION = "2026-05-12";

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

export interface Request {
  /** Method and path template, the unit of Clerk's limits: `POST /users`. */
  readonly name: string;
  readonly writes: boolean;
  /** Whether sending it twice does the same as sending it once. */
  readonly repeatable: boolean;
}

export const reading = (name: string): Request => ({ name, writes: false, repeatable: true });
export const writing = (name: string): Request => ({ name, writes: true, repeatable: true });
export const writingOnce = (name: string): Request => ({ name, writes: true, repeatable: false });

/** Of one process, so far. */
export interface RequestFigures {
  readonly requests: number;
  /** Sent once more after a failure that passes. */
  readonly repeated: number;
  /** Answered 429. */
  readonly limited: number;
}

export type Requests = ReturnType<typeof openRequests>;

/**
 * One way out for every request of the process: a limiter, a time limit and the listed retries, which the SDK has
 * not. Everything it throws is a ClerkError.
 */
export function openRequests(options: RequestOptions) {
  const ownLimit = options.secretKey.startsWith("sk_live_") ? LIMITS.production : LIMITS.development;
  const limiter = createLimiter(options.requestsPer10s || ownLimit, LONGEST_PAUSE_S);
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  let refusedKey: ClerkError | undefined;
  const figures = { requests: 0, repeated: 0, limited: 0 };

  async function send<T>(request: Request, attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await sendOnce(request, attempt);
      } catch (error) {
        if (!(error instanceof ClerkError)) throw error;
        const delay = retryDelay(request, error, tries);
        if (delay === undefined) throw error;
        figures.repeated++;
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
    if (request.writes) options.beforeWrite?.(request.name);
    figures.requests++;
    try {
      return await withTimeout(attempt(), timeoutMs);
    } catch (error) {
      const failure = clerkError(request.name, error);
      if (failure.failure.status === 429) {
        figures.limited++;
        limiter.pause(request.name, failure.failure.retryAfter ?? 1);
      }
      if (isKeyRefused(failure)) refusedKey = failure;
      throw failure;
    }
  }

  /** A plain request, where the SDK would spend a second one on a count or its types lack what the API takes. */
  async function plain<T>(
    request: Request,
    method: "GET" | "PATCH" | "POST" | "PUT" | "DELETE",
    path: string,
    schema: z.ZodType<T>,
    body?: object,
  ): Promise<T> {
    return send(request, async () => {
      const response = await fetch(new URL(`/v1${path}`, options.apiUrl), {
        method,
        headers: {
          Authorization: `Bearer ${options.secretKey}`,
          "Clerk-API-Version": API_VERSION,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await response.text();
      if (!response.ok) throw new ClerkError(request.name, failureOf(response, text));
      const answer = schema.safeParse(jsonOf(text));
      if (!answer.success)
        throw new ClerkError(request.name, unanswered("an answer of another shape than documented"));
      return answer.data;
    });
  }

  const get = <T>(name: string, path: string, schema: z.ZodType<T>): Promise<T> =>
    plain(reading(name), "GET", path, schema);

  return { send, get, plain, figures: (): RequestFigures => ({ ...figures }) };
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

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const timer = new AbortController();
  const timeout = wait(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${(timeoutMs / 1000).toString()} s`);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    timer.abort();
    timeout.catch(() => undefined);
  }
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
