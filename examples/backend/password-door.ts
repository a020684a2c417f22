import type { FastifyInstance } from "fastify";
import { z } from "zod";

import { parseBody } from "./bodies";
import { cookieOf, sessionCookie } from "./cookies";
import { Refusal } from "./errors";
import { passwordHolder, replaceSession } from "./legacy-door";
import { digestOf, LONGEST_PASSWORD_BYTES } from "./legacy-passwords";
import { changePassword, type Proof } from "./password-change";
import { limitTries, TIME_WINDOW_MS } from "./rate-limits";
import { openSession, userOfSession } from "./sessions";
import type { Systems } from "./systems";
import { hashOf } from "./tokens";

const newPassword = z
  .string()
  .min(8)
  .refine((text) => Buffer.byteLength(text) <= LONGEST_PASSWORD_BYTES);

const reset = z.object({ token: z.string().min(1).max(200), password: newPassword });
const change = z.object({ current: z.string().min(1).max(1024), password: newPassword });

/**
 * Both ways to a new password that the legacy system has: an open link, and the old password. Either reaches Clerk in the
 * same request or is refused. New links are Clerk's business.
 */
export function passwordDoor(app: FastifyInstance, systems: Systems): void {
  const { settings } = systems;
  const perIp = { max: settings.loginTriesPerIp, timeWindow: TIME_WINDOW_MS };
  const cookie = sessionCookie(settings);
  // Whoever has stolen a session must not try passwords with it.
  const countTry = app.createRateLimit({
    max: settings.loginTriesPerAddress,
    timeWindow: TIME_WINDOW_MS,
    keyGenerator: (request) => hashOf(cookieOf(request, cookie) ?? "").toString("base64url"),
  });

  app.post("/password-reset", { config: { rateLimit: perIp } }, async (request, reply) => {
    const { token, password } = parseBody(reset, request.body);
    // First, so that a link that never was takes as long as an open one.
    const digest = await digestOf(password, settings.bcryptCost);
    const proof = await openLink(systems, token);
    const changed = proof && (await changePassword(systems, proof, password, digest));
    if (changed === undefined) {
      throw new Refusal(400, "This link is no longer good. Reset the password on the sign-in page.");
    }
    return reply.code(204).send();
  });

  app.post("/password", { config: { rateLimit: perIp } }, async (request, reply) => {
    const { current, password } = parseBody(change, request.body);
    const user = await userOfSession(systems, cookieOf(request, cookie));
    if (user === undefined) throw new Refusal(401, "Sign in first.");
    await limitTries(request, reply, countTry);
    const holder = await passwordHolder(systems, user.email, current);
    if (holder?.userId !== user.userId) throw new Refusal(403, "The current password is wrong.");
    const { userId, passwordDigest } = holder;
    const digest = await digestOf(password, settings.bcryptCost);
    const changed = await changePassword(systems, { userId, digest: passwordDigest }, password, digest);
    if (changed === undefined) throw new Refusal(409, "Change the password on the sign-in page.");
    const session = await openSession(systems, userId, changed);
    if (session !== undefined) await replaceSession(systems, request, reply, session);
    return reply.code(204).send();
  });
}

/** undefined where the link never was, was used, or its time is up. */
async function openLink({ database }: Systems, token: string): Promise<Proof | undefined> {
  const link = hashOf(token);
  const { rows } = await database.query(
    "select user_id from password_resets where token_hash = $1 and expires_at > now()",
    [link],
  );
  const found = z.array(z.object({ user_id: z.string() })).parse(rows)[0];
  return found && { userId: found.user_id, link };
}
