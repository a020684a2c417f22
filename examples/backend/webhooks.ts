import { verifyWebhook } from "@clerk/backend/webhooks";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";

import { recordArrivals } from "./arrivals";
import { reviewBar } from "./bars";
import { storable } from "./bodies";
import { userFacts } from "./clerk-user";
import { Refusal } from "./errors";
import { welcome } from "./sign-ups";
import type { Systems } from "./systems";

/** In bytes: a user with all the metadata that Clerk keeps of one. */
const LARGEST_EVENT = 256 * 1024;

const user = z.object({ id: storable, external_id: z.string().nullish() });

/** The events that matter here, and of them what is needed. */
const eventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("session.created"),
    data: z.object({ user_id: storable, actor: z.unknown().optional(), user: user.nullish() }),
  }),
  z.object({
    type: z.literal("user.updated"),
    data: userFacts,
  }),
  z.object({ type: z.literal("user.created"), data: user }),
  z.object({ type: z.literal("user.deleted"), data: z.object({ id: storable }) }),
]);

type Event = z.infer<typeof eventSchema>;

/**
 * `POST /webhooks/clerk`. Clerk sends events at least once, in any order and sometimes late: each handler may be
 * repeated, and none relies on another. 204 says that it is dealt with; anything else makes Clerk send it again.
 */
export function webhooks(app: FastifyInstance, systems: Systems): void {
  void app.register((scope, _options, done) => {
    // The signature is over the bytes as they were sent.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, parsed) => {
      parsed(null, body);
    });
    scope.post("/webhooks/clerk", { bodyLimit: LARGEST_EVENT }, async (request, reply) => {
      const event = await verifiedEvent(systems, request);
      if (event !== undefined) await handle(systems, event, request.log);
      return reply.code(204).send();
    });
    done();
  });
}

/** undefined for an event that is genuine and of no interest. */
async function verifiedEvent({ settings }: Systems, request: FastifyRequest): Promise<Event | undefined> {
  const { webhookSigningSecret: signingSecret, clerkInstanceId } = settings;
  if (signingSecret === undefined) throw new Refusal(404, "There is nothing here.");
  const genuine = await verifyWebhook(asWebRequest(request), { signingSecret }).catch(() => {
    throw new Refusal(400, "This is not signed by Clerk, or too old.");
  });
  if (clerkInstanceId !== undefined && genuine.instance_id !== clerkInstanceId) {
    throw new Refusal(400, "This comes from another Clerk instance.");
  }
  const known: readonly string[] = eventSchema.options.map((option) => option.shape.type.value);
  return known.includes(genuine.type) ? eventSchema.parse(genuine) : undefined;
}

/** The form that Clerk's library verifies. */
function asWebRequest(request: FastifyRequest): Request {
  const headers = ["svix-id", "svix-timestamp", "svix-signature"].map(
    (name) => [name, String(request.headers[name] ?? "")] as [string, string],
  );
  return new Request("http://localhost/webhooks/clerk", {
    method: "POST",
    headers,
    body: z.string().catch("").parse(request.body),
  });
}

async function handle(systems: Systems, event: Event, log: FastifyBaseLogger): Promise<void> {
  switch (event.type) {
    case "session.created": {
      const { user_id: clerkUserId, actor, user } = event.data;
      // A supporter who signs in as the user is not the user.
      if (actor !== undefined && actor !== null) return;
      await recordArrivals(systems, [{ clerkUserId, externalId: user?.external_id }]);
      return;
    }
    case "user.updated": {
      const { id: clerkUserId, external_id: externalId, last_sign_in_at: signedInAt } = event.data;
      if (signedInAt != null) await recordArrivals(systems, [{ clerkUserId, externalId }]);
      await reviewBar(systems, clerkUserId, event.data);
      return;
    }
    case "user.deleted":
      await reviewBar(systems, event.data.id);
      return;
    case "user.created": {
      const { id: clerkUserId, external_id: externalId } = event.data;
      const outcome = await welcome(systems, { clerkUserId, externalId });
      const level = outcome === "left-alone" ? "warn" : "info";
      log[level]({ clerkUserId, outcome }, "somebody is new in Clerk");
    }
  }
}
