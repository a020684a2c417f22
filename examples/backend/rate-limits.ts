import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { Refusal } from "./errors";

/** What the numbers of tries in the settings are counted over. */
export const TIME_WINDOW_MS = 15 * 60_000;

/** How many addresses and IPs are counted at a time; a process of its own counts for itself. */
export const COUNTED = 50_000;

export function tooMany(): Refusal {
  return new Refusal(429, "Too many tries. Come back in a quarter of an hour.");
}

type CountTry = ReturnType<FastifyInstance["createRateLimit"]>;

/** Counts this try, and refuses it where there were too many. */
export async function limitTries(
  request: FastifyRequest,
  reply: FastifyReply,
  countTry: CountTry,
): Promise<void> {
  const limit = await countTry(request);
  if (limit.isAllowed || !limit.isExceeded) return;
  void reply.header("retry-after", limit.ttlInSeconds);
  throw tooMany();
}
