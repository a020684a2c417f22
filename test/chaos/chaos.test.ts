import { expect, inject, test } from "vitest";

import { runTrial } from "./trial";

const TRIALS = 8;
/** The same lives every time; another number plays others, which `npm run test:chaos` does by the hundred. */
const seed = Number(process.env.CHAOS_SEED ?? "3003");

test.for(Array.from({ length: TRIALS }, (_, index) => seed + index))(
  "kills and faults at random lose, double and mislead nobody (seed %i)",
  { timeout: 600_000 },
  async (trialSeed) => {
    const trial = await runTrial(inject("postgresUrl"), trialSeed);
    expect(trial.violations, trial.story.join("\n")).toEqual([]);
  },
);
