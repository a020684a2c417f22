import type { FastifyRequest } from "fastify";

import type { Settings } from "./settings";

const SAFE: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/**
 * Whether a browser sends this for another site than our front ends. Cookies come along from sibling domains too, whatever
 * `SameSite` says. Callers that are no browsers name no origin and bring no cookies of somebody else.
 */
export function isForeign(
  { authorizedParties }: Pick<Settings, "authorizedParties">,
  { method, headers }: Pick<FastifyRequest, "method" | "headers">,
): boolean {
  if (SAFE.includes(method)) return false;
  if (headers.origin !== undefined) return !authorizedParties.includes(headers.origin);
  const site = headers["sec-fetch-site"];
  return site !== undefined && site !== "same-origin" && site !== "none";
}
