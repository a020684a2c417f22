import type { FastifyInstance } from "fastify";
import { z } from "zod";

import { parseBody } from "./bodies";
import { Refusal } from "./errors";
import { dummyDigest, isDigest } from "./legacy-passwords";
import { TIME_WINDOW_MS, tooMany } from "./rate-limits";
import { closeSession, openSession, SESSION_COOKIE } from "./sessions";
import type { Systems } from "./systems";
import { hashOf } from "./tokens";
import { trickle } from "./trickle";
import { isShut, type LegacyUser, legacyUserByEmail } from "./users";

const credentials = z.object({
  // Postgres takes no NUL.
  email: z
    .string()
    .min(1)
    .max(320)
    .regex(/^[^\0]*$/),
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
    const limit = await countTry(request);
    if (!limit.isAllowed && limit.isExceeded) {
      void reply.header("retry-after", limit.ttlInSeconds);
      throw tooMany();
    }
    const user = await passwordHolder(systems, email, password);
    if (user === undefined) throw wrong();
    await trickle(systems, user, password, request.log);
    const session = await openSession(systems, user.userId);
    if (session === undefined) throw wrong();
    void reply.setCookie(SESSION_COOKIE, session.token, {
      path: "/",
      httpOnly: true,
      sameSite: "lax",
      secure: settings.secureCookies,
      expires: session.expiresAt,
    });
    return { userId: user.userId };
  });

  app.post("/logout", async (request, reply) => {
    const token = request.cookies[SESSION_COOKIE];
    if (token !== undefined) await closeSession(systems, token);
    return reply.clearCookie(SESSION_COOKIE, { path: "/" }).code(204).send();
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

/** The limiter's memory holds no addresses. */
function addressKey(email: string): string {
  return hashOf(email.normalize("NFC").trim().toLowerCase()).toString("base64url");
}
