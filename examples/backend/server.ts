import cookie from "@fastify/cookie";
import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyInstance } from "fastify";

import { startPolling } from "./arrival-poll";
import { authenticateWith } from "./authenticate";
import { chats } from "./chats";
import { Refusal } from "./errors";
import { legacyDoor } from "./legacy-door";
import { loggerOptions, type LogStream } from "./logging";
import { isForeign } from "./origins";
import { passwordDoor } from "./password-door";
import { COUNTED, tooMany } from "./rate-limits";
import { closeAllSessions } from "./sessions";
import { ensureSchema, type Systems } from "./systems";
import { webhooks } from "./webhooks";

/** In bytes: credentials are short. Webhooks have their own. */
const LARGEST_BODY = 16 * 1024;
/** Nobody holds a connection by sending slowly. */
const SLOWEST_REQUEST_MS = 15_000;

/** Everything but a port. Makes its tables; closing it ends the poll, not the systems. */
export async function openServer(systems: Systems, logStream?: LogStream): Promise<FastifyInstance> {
  const { settings, database } = systems;
  await ensureSchema(database);
  if (settings.legacyLogin === "off") await closeAllSessions(systems);

  const app = fastify({
    logger: loggerOptions(logStream),
    bodyLimit: LARGEST_BODY,
    requestTimeout: SLOWEST_REQUEST_MS,
    ...(settings.trustProxy === undefined ? {} : { trustProxy: settings.trustProxy }),
  });
  app.setErrorHandler((error, request, reply) => {
    const { status, sentence } = answerTo(error);
    if (status >= 500) request.log.error({ err: error }, "request failed");
    return reply.code(status).send({ error: sentence });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: "There is nothing here." }));

  app.addHook("onRequest", async (request, reply) => {
    // Whose answer it is depends on the cookie and the token: nothing in between may keep it.
    void reply.header("cache-control", "no-store");
    if (isForeign(settings, request)) throw new Refusal(403, "This comes from another site.");
  });
  await app.register(cookie);
  await app.register(rateLimit, { global: false, cache: COUNTED, errorResponseBuilder: tooMany });
  legacyDoor(app, systems);
  passwordDoor(app, systems);
  chats(app, systems, authenticateWith(systems));
  webhooks(app, systems);

  const stopPolling = startPolling(systems, app.log);
  app.addHook("onClose", stopPolling);
  return app;
}

/** Fastify's own refusals (a body that is no JSON, one that is too large) carry a status too. */
function answerTo(error: unknown): { status: number; sentence: string } {
  if (error instanceof Refusal) return { status: error.statusCode, sentence: error.message };
  const status = error instanceof Error && "statusCode" in error ? error.statusCode : 500;
  if (typeof status !== "number" || status < 400 || status >= 500) {
    return { status: 500, sentence: "Something went wrong." };
  }
  return { status, sentence: "This request cannot be read." };
}
