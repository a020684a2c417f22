import type { Instance } from "./instance";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A request, once it is known where it belongs. */
export interface Call {
  /** The value of a `{name}` in the route's path. */
  param(name: string): string;
  readonly query: URLSearchParams;
  /** The page that asks, as its browser says; undefined for whoever is no browser. */
  readonly origin: string | undefined;
  /** Parsed JSON (or form); undefined if nothing was sent. */
  readonly body: unknown;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: Method;
  /** As Clerk's reference writes it: `/users/{user_id}`. */
  readonly path: string;
  /** A POST that changes nothing. */
  readonly readOnly?: boolean;
  readonly handle: (instance: Instance, call: Call) => Answer | Promise<Answer>;
}

/** The content type is exact: with a charset behind it `@clerk/backend` takes the body for plain text. */
export function json(body: unknown, status = 200): Answer {
  return { status, contentType: "application/json", body: JSON.stringify(body) };
}

export function html(body: string): Answer {
  return { status: 200, contentType: "text/html; charset=utf-8", body };
}

/** How Clerk's reference, the faults and the request log name a request. */
export function kindOf(route: Pick<Route, "method" | "path">): string {
  return `${route.method} ${route.path}`;
}
