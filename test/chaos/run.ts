import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";

import pulumi from "@pulumi/pulumi/package.json";

import { startPostgres } from "../../sandbox/postgres";
import {
  addTally,
  codeSha256,
  committedCode,
  describeEvidence,
  type Evidence,
  readEvidence,
} from "./evidence";
import { emptyTally, eventNames } from "./tally";
import { runTrial, type Trial } from "./trial";

/**
 * `npm run test:chaos [-- --trials N --seed S --at-once K --evidence FILE]`: exit code 1 if any promise was broken. With
 * `--check-evidence FILE` it only says of which code that file is.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      trials: { type: "string", default: "20" },
      seed: { type: "string", default: (Date.now() % 1_000_000).toString() },
      "at-once": { type: "string", default: "2" },
      evidence: { type: "string" },
      "check-evidence": { type: "string" },
    },
  });
  const checked = values["check-evidence"];
  if (checked !== undefined) {
    print(describeEvidence(await readEvidence(checked), await codeSha256()));
    return;
  }
  const commit = values.evidence === undefined ? undefined : await committedCode();
  const [seed, atOnce] = [Number(values.seed), Number(values["at-once"])];
  let trials = Number(values.trials);
  print(`${trials.toString()} trials from seed ${seed.toString()}; repeat one with --trials 1 --seed <seed>`);
  const startedAt = new Date().toISOString();
  const code = await codeSha256();
  const postgres = await startPostgres();
  const tally = emptyTally();
  let next = 0;
  let broken = 0;
  // Whoever ends it early gets the evidence of what has been played.
  process.once("SIGINT", () => (trials = next));
  const worker = async () => {
    while (next < trials) {
      const trial = await runTrial(postgres.url, seed + next++);
      addTally(tally, trial.tally);
      if (trial.violations.length > 0) broken++;
      print(describeTrial(trial));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await postgres.stop();
  print(`${(trials - broken).toString()} of ${trials.toString()} trials held every promise`);
  for (const name of eventNames) {
    const { total, disturbed, killed, disconnected } = tally[name];
    print(
      `${name}: ${total.toString()}, ${disturbed.toString()} of them disturbed, ${killed.toString()} killed, ${disconnected.toString()} disconnected`,
    );
  }
  process.exitCode = broken === 0 ? 0 : 1;
  if (commit === undefined || values.evidence === undefined) return;
  if ((await committedCode()) !== commit || (await codeSha256()) !== code)
    throw new Error("The code has changed meanwhile: these trials are evidence of nothing.");
  const evidence: Evidence = {
    commit,
    codeSha256: code,
    seeds: { from: seed, to: seed + trials - 1 },
    trials,
    violations: broken,
    events: tally,
    node: process.version,
    pulumi: pulumi.version,
    startedAt,
    endedAt: new Date().toISOString(),
  };
  await mkdir(dirname(values.evidence), { recursive: true });
  await writeFile(values.evidence, `${JSON.stringify(evidence, undefined, 2)}\n`);
}

function describeTrial({ seed, story, violations }: Trial): string {
  if (violations.length === 0) return `seed ${seed.toString()}: held`;
  return [
    `seed ${seed.toString()}: BROKEN`,
    ...story.map((line) => `  ${line}`),
    ...violations.map((line) => `  ✗ ${line}`),
  ].join("\n");
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

void main();
