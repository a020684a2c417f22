import { events, goBack, type Happening, settle } from "./events";
import type { Random } from "./random";
import { emptyTally, type Tally } from "./tally";
import { now, openWorld, type World } from "./world";

export interface Trial {
  readonly seed: number;
  /** What was done, in order. */
  readonly story: readonly string[];
  /** Empty where every promise held. */
  readonly violations: readonly string[];
  readonly tally: Tally;
}

/** One life under fire: people are migrated, things happen to them and to what we know of them, and all the way back. */
export async function runTrial(adminUrl: string, seed: number): Promise<Trial> {
  const tally = emptyTally();
  const world = await openWorld(adminUrl, seed, tally);
  const { stack, smtp, story, violations } = world;
  try {
    await live(world);
  } finally {
    stack.clerk.faults.clear();
    await smtp?.stop();
    for (const problem of new Set(await stack.stop())) violations.push(`Clerk's reference: ${problem}`);
  }
  return { seed, story, violations, tally };
}

/** Until the first promise is broken: what comes after it tells nothing new. */
async function live(world: World): Promise<void> {
  const { chance, violations } = world;
  const [first, ...others] = beginningOf(chance);
  const steps: (() => Promise<void>)[] = [
    () => events[first](world),
    // Some things happen to people who are half migrated, others when everything is done.
    ...(chance.chance(0.4) ? [() => settle(world)] : []),
    ...others.map((event) => () => events[event](world)),
    // A rollback may follow on an up that was cut off, as long as the state knows that there is something to roll back.
    async () => {
      if (canBeCutShort.has(others.at(-1) ?? first) && chance.chance(0.3) && (await isInState(world))) return;
      await settle(world);
    },
    () => events.destroy(world),
    () => goBack(world),
  ];
  for (const step of steps) {
    await step();
    if (violations.length > 0) return;
  }
}

const canBeCutShort: ReadonlySet<Happening> = new Set(["up", "adopt", "update", "remind", "retire"]);

async function isInState(world: World): Promise<boolean> {
  return (await now(world)).state.includes("clerk:Migration");
}

/** Everything but the way back. */
function beginningOf(chance: Random): [Happening, ...Happening[]] {
  const first = chance.oneOf<Happening>(["up", "up", "adopt"]);
  const bag: Happening[] = [
    "update",
    "remind",
    "retire",
    "refresh",
    "rename",
    "lose-ledger",
    "lose-state",
    "change-database",
    first === "adopt" ? "refresh" : "adopt",
  ];
  const others: Happening[] = [];
  for (let count = chance.chance(0.25) ? 3 : 2; count > 0; count--)
    others.push(...bag.splice(chance.below(bag.length), 1));
  if (chance.chance(0.15)) others.splice(chance.below(others.length), 0, "destroy");
  return [first, ...new Set(others)];
}
