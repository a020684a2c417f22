import type { FastifyBaseLogger } from "fastify";
import { z } from "zod";

import { recordArrivals } from "./arrivals";
import type { Systems } from "./systems";

const PAGE = 500;
/** Clerk's lists may lag behind its writes: every poll looks that far back again. */
const OVERLAP_MS = 5 * 60_000;

/**
 * Asks Clerk who has signed in since the last poll, and notes their arrival: the net below the webhooks, which may
 * come late or never. Safe to repeat, and from several processes at once. Answers who was new.
 */
export async function pollArrivals(systems: Systems): Promise<string[]> {
  const arrived: string[] = [];
  // Never 0: the SDK leaves that out, and Clerk would list people who have never signed in as well.
  let after = Math.max(1, (await seenUntil(systems)) - OVERLAP_MS);
  for (;;) {
    // By time, not by offset: whoever signs in meanwhile moves to the end, and nobody is skipped.
    const { data: users } = await systems.clerk.users.getUserList({
      lastSignInAtAfter: after,
      orderBy: "+last_sign_in_at",
      limit: PAGE,
    });
    const seen = users
      .filter((user) => user.lastSignInAt !== null)
      .map((user) => ({ clerkUserId: user.id, externalId: user.externalId }));
    arrived.push(...(await recordArrivals(systems, seen)));
    const last = users.at(-1)?.lastSignInAt ?? after;
    await noteSeen(systems, last);
    const next = pageAfter(after, last);
    if (users.length < PAGE || next <= after) return arrived;
    after = next;
  }
}

/** One millisecond back, for those of the same one that the page had no room for, unless that would stand still. */
export function pageAfter(after: number, last: number): number {
  return last - 1 > after ? last - 1 : last;
}

/** Polls now and then every `POLL_SECONDS`; a failure is logged, and the next poll makes up for it. */
export function startPolling(systems: Systems, log: FastifyBaseLogger): () => Promise<void> {
  const { pollSeconds } = systems.settings;
  if (pollSeconds === 0) return () => Promise.resolve();
  let current = Promise.resolve();
  const poll = async () => {
    try {
      const arrived = await pollArrivals(systems);
      if (arrived.length > 0) log.info({ users: arrived }, "arrivals found by the poll");
    } catch (error) {
      log.warn({ err: error }, "the poll failed and will be repeated");
    }
  };
  // One at a time: a poll that takes longer than the interval is not overtaken by the next.
  let isPolling = false;
  const begin = () => {
    if (isPolling) return;
    isPolling = true;
    current = poll().finally(() => (isPolling = false));
  };
  begin();
  const timer = setInterval(begin, pollSeconds * 1000);
  return async () => {
    clearInterval(timer);
    await current;
  };
}

async function seenUntil({ database }: Systems): Promise<number> {
  const { rows } = await database.query("select seen_until from arrival_poll");
  // bigint: the driver hands it over as text.
  return z.array(z.object({ seen_until: z.coerce.number() })).parse(rows)[0]?.seen_until ?? 0;
}

async function noteSeen({ database }: Systems, until: number): Promise<void> {
  await database.query(
    `insert into arrival_poll (seen_until) values ($1)
     on conflict (only_row) do update set seen_until = greatest(arrival_poll.seen_until, excluded.seen_until)`,
    [until],
  );
}
