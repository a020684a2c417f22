import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";

import { parseBody, storable } from "./bodies";
import { cookieOf, cookieOptions, sessionCookie } from "./cookies";
import { Refusal } from "./errors";
import { dummyDigest, isDigest } from "./legacy-passwords";
import { limitTries, TIME_WINDOW_MS } from "./rate-limits";
import { closeSession, type NewSession, openSession } from "./sessions";
import type { Systems } from "./systems";
import { hashOf } from "./tokens";
import { trickle } from "./trickle";
import { isShut, type LegacyUser, legacyUserByEmail } from "./users";

const credentials = z.object({
  email: storable.min(1).max(320),
  password: z.string().min(1).max(1024),
});

/** The one answer to everybody who does not get in. */
const wrong = () => new Refusal(401, "Address or password is wrong.");

export function legacyDoor(app: FastifyInstance, systems: Systems): void {
  const { settings } = systems;
  // Every try counts, whether or not the address is known, so that the limit tells nothing either.
  const countTry = app.createRateLimit({
    max: settings.loginTriesPerAddress,
    timeWindow: TIME_WINDOW_MS,
    keyGenerator: (request) => addressKey(parseBody(credentials, request.body).email),
  });
  const perIp = { max: settings.loginTriesPerIp, timeWindow: TIME_WINDOW_MS };

  app.post("/login", { config: { rateLimit: perIp } }, async (request, reply) => {
    const { email, password } = parseBody(credentials, request.body);
    await limitTries(request, reply, countTry);
    const user = await passwordHolder(systems, email, password);
    if (user === undefined) throw wrong();
    await trickle(systems, user, password, request.log);
    const session = await openSession(systems, user.userId, user.passwordDigest);
    if (session === undefined) throw wrong();
    await replaceSession(systems, request, reply, session);
    return { userId: user.userId };
  });

  app.post("/logout", async (request, reply) => {
    const token = cookieOf(request, sessionCookie(settings));
    if (token !== undefined) await closeSession(systems, token);
    return reply.clearCookie(sessionCookie(settings), cookieOptions(settings)).code(204).send();
  });
}

/**
 * The user, if the door is open and the password right. An unknown address, a user without a digest and one who has
 * arrived cost one comparison like everybody else, with nobody's digest.
 */
export async function passwordHolder(
  { database, settings, comparePassword }: Systems,
  email: string,
  password: string,
): Promise<LegacyUser | undefined> {
  const user = await legacyUserByEmail(database, email);
  const digest = user === undefined || isShut(settings.legacyLogin, user) ? null : user.passwordDigest;
  if (isDigest(digest)) return (await comparePassword(password, digest)) ? user : undefined;
  await comparePassword(password, dummyDigest(settings.bcryptCost));
  return undefined;
}

/** The session that the request came with ends: nobody who knew it before the login is in afterwards. */
export async function replaceSession(
  systems: Systems,
  request: FastifyRequest,
  reply: FastifyReply,
  session: NewSession,
): Promise<void> {
  const name = sessionCookie(systems.settings);
  const before = cookieOf(request, name);
  if (before !== undefined) await closeSession(systems, before);
  void reply.setCookie(name, session.token, {
    ...cookieOptions(systems.settings),
    expires: session.expiresAt,
  });
}

/** The limiter's memory holds no addresses. */
function addressKey(email: string): string {
  return hashOf(email.normalize("NFC").trim().toLowerCase()).toString("base64url");
}
