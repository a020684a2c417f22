import type { ClerkClient } from "@clerk/backend";
import { z } from "zod";

import { withPatience } from "./patience";

/** Keys are asked for anew after that long, so that one Clerk has withdrawn is not taken for ever. */
const MAX_AGE_MS = 5 * 60_000;
/** Anybody can write any `kid` into a token: an unknown one asks Clerk no more often than this. */
const PAUSE_MS = 30_000;
/** The same after a failure, which is ours or Clerk's. */
const FAILURE_PAUSE_MS = 1_000;

const keySchema = z.object({ kid: z.string(), kty: z.literal("RSA"), n: z.string(), e: z.string() });

export type ClerkKey = z.infer<typeof keySchema>;

/** The key of that name; undefined where Clerk has none. Throws where Clerk cannot be asked. */
export type FindKey = (kid: string) => Promise<ClerkKey | undefined>;

/** The public keys of session tokens, remembered. Requests that come at the same time ask Clerk once. */
export function clerkKeys(clerk: ClerkClient, now: () => number = Date.now): FindKey {
  let keys: ReadonlyMap<string, ClerkKey> = new Map();
  let [readAt, triedAt] = [-Infinity, -Infinity];
  let failure: Error | undefined;
  let underWay: Promise<void> | undefined;

  async function read(): Promise<void> {
    triedAt = now();
    try {
      const answer = await withPatience(clerk.jwks.getJwks());
      const parsed = z.object({ keys: z.array(keySchema) }).parse(answer);
      keys = new Map(parsed.keys.map((key) => [key.kid, key]));
      readAt = now();
      failure = undefined;
    } catch (error) {
      failure = new Error("Clerk's keys cannot be read.", { cause: error });
    } finally {
      underWay = undefined;
    }
  }

  return async (kid) => {
    const isFresh = () => now() - readAt < MAX_AGE_MS;
    const pause = failure === undefined ? PAUSE_MS : FAILURE_PAUSE_MS;
    const isWanted = !isFresh() || !keys.has(kid);
    if (isWanted && (underWay !== undefined || now() - triedAt >= pause)) await (underWay ??= read());
    if (!isFresh()) throw failure ?? new Error("Clerk's keys are out of date.");
    return keys.get(kid);
  };
}
