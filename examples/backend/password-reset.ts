import type { FastifyInstance } from "fastify";
import { z } from "zod";

import { parseBody } from "./bodies";
import { Refusal } from "./errors";
import { digestOf, LONGEST_PASSWORD_BYTES } from "./legacy-passwords";
import { TIME_WINDOW_MS } from "./rate-limits";
import type { Systems } from "./systems";
import { hashOf } from "./tokens";

const reset = z.object({
  token: z.string().min(1).max(200),
  password: z
    .string()
    .min(8)
    .refine((text) => Buffer.byteLength(text) <= LONGEST_PASSWORD_BYTES),
});

/** Open links of the legacy reset are honoured until their user has arrived. New ones are Clerk's business. */
export function passwordReset(app: FastifyInstance, systems: Systems): void {
  const { settings } = systems;
  const perIp = { max: settings.loginTriesPerIp, timeWindow: TIME_WINDOW_MS };
  app.post("/password-reset", { config: { rateLimit: perIp } }, async (request, reply) => {
    const { token, password } = parseBody(reset, request.body);
    const digest = await digestOf(password, settings.bcryptCost);
    if (!(await redeem(systems, token, digest))) {
      throw new Refusal(400, "This link is no longer good. Reset the password on the sign-in page.");
    }
    return reply.code(204).send();
  });
}

/** Uses the link up, and ends the sessions that the old password opened. False where the link leads nowhere any more. */
async function redeem({ database, settings }: Systems, token: string, digest: string): Promise<boolean> {
  if (settings.legacyLogin === "off") return false;
  const { rowCount } = await database.query(
    `with used as (
       delete from password_resets where token_hash = $1 returning user_id, expires_at
     ), changed as (
       update users u set password_hash = $2
       from used
       where u.user_id = used.user_id
         and used.expires_at > now()
         and ($3::boolean or not exists (select from arrived_users a where a.user_id = u.user_id))
       returning u.user_id
     ), ended as (
       delete from app_sessions where user_id in (select user_id from changed)
     )
     select from changed`,
    [hashOf(token), digest, settings.legacyLogin === "on"],
  );
  return rowCount === 1;
}
