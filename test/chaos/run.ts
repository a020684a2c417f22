import { parseArgs } from "node:util";

import { startPostgres } from "../../sandbox/postgres";
import { runTrial } from "./trial";

/** `npm run test:chaos [-- --trials N --seed S --at-once K]`: exit code 1 if any promise was broken. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      trials: { type: "string", default: "20" },
      seed: { type: "string", default: (Date.now() % 1_000_000).toString() },
      "at-once": { type: "string", default: "2" },
    },
  });
  const [trials, seed, atOnce] = [Number(values.trials), Number(values.seed), Number(values["at-once"])];
  process.stdout.write(
    `${trials.toString()} trials from seed ${seed.toString()}; repeat one with --trials 1 --seed <seed>\n`,
  );
  const postgres = await startPostgres();
  let next = 0;
  let broken = 0;
  const worker = async () => {
    while (next < trials) {
      const trial = await runTrial(postgres.url, seed + next++);
      if (trial.violations.length === 0) {
        process.stdout.write(`seed ${trial.seed.toString()}: held\n`);
        continue;
      }
      broken++;
      const lines = [
        ...trial.story.map((line) => `  ${line}`),
        ...trial.violations.map((line) => `  ✗ ${line}`),
      ];
      process.stdout.write(`seed ${trial.seed.toString()}: BROKEN\n${lines.join("\n")}\n`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await postgres.stop();
  process.stdout.write(`${(trials - broken).toString()} of ${trials.toString()} trials held every promise\n`);
  process.exitCode = broken === 0 ? 0 : 1;
}

void main();
