import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";

import type { Answer } from "./call";
import { apiVersionInvalid, errorBody, keyInvalid, keyMissing, Refusal, unexpected } from "./errors";
import { faultAnswer } from "./fault-bodies";
import type { Effect, Faults } from "./faults";
import { parseBody, readText, send } from "./http";
import type { Instance } from "./instance";
import type { RateLimiter } from "./limits";
import type { Match, Router } from "./router";

/** The one version `@clerk/backend` 3.25 speaks, and the only one played here. */
const API_VERSION = "2026-05-12";

/** One request and its answer, for whoever wants to check it. Bodies hold secrets: keep none. */
export interface Exchange {
  readonly method: string;
  /** With /v1, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly requestBody: unknown;
  /** null if a fault took the answer away. */
  readonly status: number | null;
  readonly responseHeaders: Readonly<Record<string, string>>;
  readonly responseBody: unknown;
  /** The fault that spoiled the answer, if one did. */
  readonly fault: string | null;
}

export interface Api {
  readonly instance: Instance;
  readonly router: Router;
  readonly faults: Faults;
  /** Where nothing is limited, as on the Frontend API: undefined. */
  readonly limiter: RateLimiter | undefined;
  /** In front of every path of the router. */
  readonly prefix: string;
  readonly needsKey: boolean;
  readonly onExchange: ((exchange: Exchange) => void) | undefined;
  /** Aborted when the server stops: nobody waits any longer then. */
  readonly stopping: AbortSignal;
}

interface Arrival {
  readonly at: number;
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly text: string | undefined;
}

/** Receives, lets the faults have their way, answers, remembers. */
export async function respond(api: Api, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { instance, faults, limiter } = api;
  const arrival: Arrival = {
    at: instance.now(),
    method: request.method ?? "GET",
    url: new URL(request.url ?? "/", instance.url),
    headers: request.headers,
    text: await readText(request),
  };
  const { pathname } = arrival.url;
  const isInside = pathname.startsWith(api.prefix);
  const match = api.router(arrival.method, isInside ? pathname.slice(api.prefix.length) : "");
  const kind = match instanceof Refusal ? `${arrival.method} ${pathname}` : match.kind;

  const effects = faults.strike(kind);
  for (const effect of effects) {
    if (effect.type === "delay") await wait(effect.ms, undefined, { signal: api.stopping }).catch(ignored);
  }
  if (api.stopping.aborted) return;
  const fault = effects.find((effect) => effect.type !== "delay");
  const truth = isCarriedOut(fault) ? await answerTo(api, arrival, match, kind) : undefined;
  const seen = spoiled(fault, truth);
  if (fault?.type === "answer" && fault.status === 429 && fault.retryAfter !== undefined) {
    limiter?.block(kind, fault.retryAfter);
  }

  instance.store.requests.push({
    at: arrival.at,
    method: arrival.method,
    path: pathname,
    kind,
    queryKeys: [...new Set(arrival.url.searchParams.keys())],
    status: fault !== undefined && isUnreadable(fault) ? null : (seen?.status ?? null),
    wrote: truth !== undefined && truth.status < 400 && writes(match),
    fault: effects.length === 0 ? null : effects.map((effect) => effect.type).join(", "),
  });
  api.onExchange?.(exchangeOf(arrival, seen, fault));

  if (seen) send(response, seen);
  else if (fault?.type !== "hang") request.socket.resetAndDestroy();
}

/** The wait ended because the server stops: nobody is there any more to answer. */
function ignored(): void {
  return;
}

function isCarriedOut(fault: Effect | undefined): boolean {
  if (fault?.type === "cut-before") return false;
  if (fault?.type === "answer" || fault?.type === "hang") return fault.committed === true;
  return true;
}

/** What of the true answer reaches the client; undefined: nothing at all. */
function spoiled(fault: Effect | undefined, truth: Answer | undefined): Answer | undefined {
  switch (fault?.type) {
    case "answer":
      return faultAnswer(fault);
    case "truncated-json":
      return truth && { ...truth, body: truth.body.slice(0, Math.floor(truth.body.length / 2)) };
    case "empty-body":
      return truth && { ...truth, body: "" };
    case "cut-before":
    case "cut-after":
    case "hang":
      return undefined;
    default:
      return truth;
  }
}

function isUnreadable(fault: Effect): boolean {
  return fault.type === "truncated-json" || fault.type === "empty-body";
}

function writes(match: Match | Refusal): boolean {
  return !(match instanceof Refusal) && match.route.method !== "GET" && match.route.readOnly !== true;
}

async function answerTo(api: Api, arrival: Arrival, match: Match | Refusal, kind: string): Promise<Answer> {
  try {
    if (api.needsKey) checkKey(api.instance, arrival.headers);
    if (match instanceof Refusal) throw match;
    api.limiter?.admit(kind, kind.includes("{user_id}") ? match.param("user_id") : undefined);
    const body = parseBody(arrival.text, arrival.headers["content-type"], !api.needsKey);
    return await match.route.handle(api.instance, {
      param: match.param,
      query: arrival.url.searchParams,
      origin: arrival.headers.origin,
      body,
    });
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(`The local Clerk failed at ${kind}:`, error);
    const { status, items, retryAfter } = error instanceof Refusal ? error : unexpected();
    return {
      status,
      contentType: "application/json",
      body: JSON.stringify(errorBody(items)),
      ...(retryAfter !== undefined && { headers: { "retry-after": retryAfter.toString() } }),
    };
  }
}

function checkKey({ secretKey }: Instance, headers: IncomingHttpHeaders): void {
  const [scheme, key, ...others] = (headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer" || !key || others.length > 0) throw keyMissing();
  if (key !== secretKey) throw keyInvalid();
  const version = headers["clerk-api-version"];
  if (typeof version === "string" && version !== API_VERSION) throw apiVersionInvalid(version);
}

function exchangeOf(arrival: Arrival, seen: Answer | undefined, fault: Effect | undefined): Exchange {
  return {
    method: arrival.method,
    path: arrival.url.pathname,
    query: arrival.url.searchParams,
    headers: arrival.headers,
    requestBody: parsed(arrival.text),
    status: seen?.status ?? null,
    responseHeaders: seen ? { ...seen.headers, "content-type": seen.contentType } : {},
    responseBody: parsed(seen?.body),
    fault: fault?.type ?? null,
  };
}

/** As JSON if it is any, else as it is. */
function parsed(text: string | undefined): unknown {
  if (text === undefined || text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}
