import { expect, test } from "vitest";

import { codeSha256, describeEvidence, type Evidence } from "./evidence";
import { emptyTally } from "./tally";

const evidence = (code: string): Evidence => ({
  commit: "0123456789abcdef0123456789abcdef01234567",
  codeSha256: code,
  seeds: { from: 1, to: 200 },
  trials: 200,
  violations: 0,
  events: emptyTally(),
  node: process.version,
  pulumi: "3.248.0",
  startedAt: "2026-01-01T00:00:00.000Z",
  endedAt: "2026-01-01T00:30:00.000Z",
});

test("evidence of the code as it is says so, and evidence of other code is named stale", async () => {
  const code = await codeSha256();
  expect(await codeSha256()).toBe(code);
  expect(describeEvidence(evidence(code), code)).toMatch(/^Of this very code: 200 trials \(seeds 1 to 200\)/);
  expect(describeEvidence(evidence("of another"), code)).toMatch(/^Stale: 200 trials/);
});
