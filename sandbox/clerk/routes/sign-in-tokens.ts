import { z } from "zod";

import { json, type Route } from "../call";
import { notFound, signInTokenNotRevocable } from "../errors";
import { base62, newId } from "../ids";
import { parse } from "../parameters";
import type { SignInToken } from "../records";
import { ticketUrl } from "../tickets";
import { userById } from "./users";

const THIRTY_DAYS = 30 * 24 * 3600;

const newToken = z.object({
  user_id: z.string(),
  org_id: z.string().nullish(),
  expires_in_seconds: z.int().min(1).nullish(),
});

export const signInTokenRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/sign_in_tokens",
    handle(instance, { body }) {
      const given = parse(newToken, body);
      const user = userById(instance, given.user_id);
      const now = instance.now();
      const ticket = base62(48);
      const token: SignInToken = {
        id: newId("sit"),
        userId: user.id,
        status: "pending",
        token: ticket,
        url: ticketUrl(instance, ticket),
        expiresAt: now + (given.expires_in_seconds ?? THIRTY_DAYS) * 1000,
        createdAt: now,
        updatedAt: now,
      };
      instance.store.signInTokens.set(token.id, token);
      return json(signInTokenJson(token));
    },
  },
  {
    method: "POST",
    path: "/sign_in_tokens/{sign_in_token_id}/revoke",
    handle(instance, call) {
      const id = call.param("sign_in_token_id");
      const token = instance.store.signInTokens.get(id);
      if (!token) throw notFound("sign in token", id);
      if (token.status !== "pending") throw signInTokenNotRevocable(token.status);
      const revoked: SignInToken = { ...token, status: "revoked", updatedAt: instance.now() };
      instance.store.signInTokens.set(id, revoked);
      return json(signInTokenJson(revoked));
    },
  },
];

function signInTokenJson(token: SignInToken) {
  return {
    object: "sign_in_token",
    id: token.id,
    user_id: token.userId,
    token: token.token,
    status: token.status,
    url: token.url,
    created_at: token.createdAt,
    updated_at: token.updatedAt,
  };
}
