import { expect, inject, test } from "vitest";

import { runTrial } from "./trial";

const TRIALS = 8;
const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

test.for(Array.from({ length: TRIALS }, (_, index) => seed + index))(
  "kills and faults at random lose, double and mislead nobody (seed %i)",
  { timeout: 600_000 },
  async (trialSeed) => {
    const trial = await runTrial(inject("postgresUrl"), trialSeed);
    expect(trial.violations, trial.story.join("\n")).toEqual([]);
  },
);
