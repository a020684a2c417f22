import { z } from "zod";

/** What goes wrong. Before: nothing was carried out. After: it was, and the client cannot know. */
const effect = z.discriminatedUnion("type", [
  /** Answers late, but answers; further faults still strike. */
  z.strictObject({ type: z.literal("delay"), ms: z.int().min(0) }),
  /** Another answer instead, nothing carried out unless `committed`. Bodies default to what Clerk sends. */
  z.strictObject({
    type: z.literal("answer"),
    status: z.int().min(200).max(599),
    body: z.json().optional(),
    contentType: z.string().optional(),
    /** Seconds. With a 429 the endpoint stays blocked for as long. */
    retryAfter: z.int().min(0).optional(),
    committed: z.boolean().optional(),
  }),
  z.strictObject({ type: z.literal("cut-before") }),
  z.strictObject({ type: z.literal("cut-after") }),
  /** The first half of the true answer, well-formed HTTP. */
  z.strictObject({ type: z.literal("truncated-json") }),
  z.strictObject({ type: z.literal("empty-body") }),
  /** Never answers; `committed` says whether the request was carried out all the same. */
  z.strictObject({ type: z.literal("hang"), committed: z.boolean().optional() }),
]);

const fault = z.strictObject({
  /** A kind as in the request log (`POST /users`), all of a method (`POST *`) or everything (`*`). */
  on: z.string().min(1),
  effect,
  /** Matching requests that pass first. */
  skip: z.int().min(0).default(0),
  /** How often it strikes; without it once, or without end if it has a probability. */
  times: z.int().min(1).optional(),
  /** Of striking at each matching request, 0 to 1. */
  probability: z.number().min(0).max(1).optional(),
});

/** What `POST /sandbox/faults` takes. */
export const faultOrder = z.union([
  fault,
  z.array(fault),
  z.strictObject({ seed: z.int().optional(), faults: z.array(fault).default([]) }),
]);

export type Effect = z.infer<typeof effect>;
export type Fault = z.input<typeof fault>;

export interface StandingFault extends z.infer<typeof fault> {
  readonly struck: number;
}

export interface Faults {
  add(...faults: Fault[]): void;
  clear(): void;
  list(): readonly StandingFault[];
  /** Makes faults with a probability repeatable: the same seed, the same requests, the same strikes. */
  seed(seed: number): void;
  /** What befalls this request: any number of delays and at most one other thing. */
  strike(kind: string): readonly Effect[];
}

export function createFaults(): Faults {
  let standing: { fault: z.infer<typeof fault>; seen: number; struck: number }[] = [];
  let random = seededRandom(1);

  return {
    add: (...faults) => {
      standing.push(...faults.map((given) => ({ fault: fault.parse(given), seen: 0, struck: 0 })));
    },
    clear: () => {
      standing = [];
    },
    list: () => standing.map(({ fault: given, struck }) => ({ ...given, struck })),
    seed: (seed) => {
      random = seededRandom(seed);
    },
    strike(kind) {
      const effects: Effect[] = [];
      for (const candidate of standing) {
        const { on, skip, times, probability, effect: what } = candidate.fault;
        if (!covers(on, kind)) continue;
        candidate.seen += 1;
        if (candidate.seen <= skip) continue;
        if (candidate.struck >= (times ?? (probability === undefined ? 1 : Infinity))) continue;
        if (probability !== undefined && random() >= probability) continue;
        candidate.struck += 1;
        effects.push(what);
        if (what.type !== "delay") break;
      }
      return effects;
    },
  };
}

function covers(on: string, kind: string): boolean {
  if (on === "*" || on === kind) return true;
  return on.endsWith(" *") && kind.startsWith(on.slice(0, -1));
}

/** mulberry32: small, good enough to decide which request fails. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
