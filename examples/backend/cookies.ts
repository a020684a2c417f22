import type { CookieSerializeOptions } from "@fastify/cookie";
import type { FastifyRequest } from "fastify";

import type { Settings } from "./settings";

/** Where Clerk's browser library keeps the session token. */
export const CLERK_COOKIE = "__session";

/** Of the legacy session. Browsers take a `__Host-` cookie from this very host and over https only, from no sibling domain. */
export function sessionCookie({ secureCookies }: Pick<Settings, "secureCookies">): string {
  return secureCookies ? "__Host-app_session" : "app_session";
}

/** The same for setting and for clearing: browsers pass over a `__Host-` cookie that is cleared without them. */
export function cookieOptions({ secureCookies }: Pick<Settings, "secureCookies">): CookieSerializeOptions {
  return { path: "/", httpOnly: true, sameSite: "lax", secure: secureCookies };
}

/** The cookie, if there is one of that name. Of two, one is not ours, and nobody can tell which. */
export function cookieOf(request: FastifyRequest, name: string): string | undefined {
  const names = (request.headers.cookie ?? "").split(";").map((pair) => pair.split("=", 1)[0]?.trim());
  return names.filter((one) => one === name).length === 1 ? request.cookies[name] : undefined;
}
