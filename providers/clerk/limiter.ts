import { setTimeout as wait } from "node:timers/promises";

/** The share of Clerk's limit that is used: the rest is for clocks that differ and for the program's own look-ups. */
const SHARE = 0.95;
const WINDOW_MS = 10_000;

/** Timers are late by a millisecond or so each; more than this was a stall. */
const CATCH_UP_MS = 20;

export interface Limiter {
  /** Resolves when a request to this endpoint may leave. Rejects with the seconds left if that is too long to wait. */
  turn(endpoint: string): Promise<void>;
  /** Clerk answered 429: nobody asks this endpoint again before that. */
  pause(endpoint: string, seconds: number): void;
}

export class PausedTooLong extends Error {
  constructor(readonly seconds: number) {
    super(`paused for ${seconds.toString()} s`);
  }
}

/**
 * One even flow for all requests of the process: no burst at the start, because the program spent from the same
 * window a moment ago. `requestsPer10s` is Clerk's limit; `longestPause` (seconds) is what a caller would wait for.
 */
export function createLimiter(requestsPer10s: number, longestPause: number): Limiter {
  const interval = WINDOW_MS / (requestsPer10s * SHARE);
  const pausedUntil = new Map<string, number>();
  let due = -Infinity;
  let queue = Promise.resolve();

  /** The next place in the flow. After a stall at most CATCH_UP_MS of it are made up for: no burst then either. */
  function slot(): Promise<void> {
    queue = queue.then(async () => {
      due = Math.max(due + interval, performance.now() - CATCH_UP_MS);
      const ahead = due - performance.now();
      if (ahead > 0) await wait(ahead);
    });
    return queue;
  }

  return {
    async turn(endpoint) {
      for (;;) {
        const paused = (pausedUntil.get(endpoint) ?? 0) - performance.now();
        if (paused > longestPause * 1000) throw new PausedTooLong(Math.ceil(paused / 1000));
        if (paused > 0) {
          await wait(paused);
          continue;
        }
        await slot();
        // A pause may have begun while this request waited for its slot.
        if ((pausedUntil.get(endpoint) ?? 0) <= performance.now()) return;
      }
    },
    pause(endpoint, seconds) {
      const until = performance.now() + seconds * 1000;
      pausedUntil.set(endpoint, Math.max(until, pausedUntil.get(endpoint) ?? 0));
    },
  };
}
