import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { z } from "zod";

import { eventNames, type Tally } from "./tally";

const root = resolve(__dirname, "../..");

/** What runs against people's systems: the code that a trial is evidence of. */
const CODE = ["index.ts", "providers"];

const countSchema = z.object({
  total: z.int(),
  disturbed: z.int(),
  killed: z.int(),
  disconnected: z.int(),
});

/** Which trials held, of which code. */
const evidenceSchema = z.object({
  commit: z.string(),
  /** Of the code itself: a later commit that leaves it as it is leaves the evidence good. */
  codeSha256: z.string(),
  seeds: z.object({ from: z.int(), to: z.int() }),
  trials: z.int(),
  violations: z.int(),
  events: z.record(z.enum(eventNames), countSchema),
  node: z.string(),
  pulumi: z.string(),
  startedAt: z.string(),
  endedAt: z.string(),
});

export type Evidence = z.infer<typeof evidenceSchema>;

/** Over path and content of every file, in the order of the paths. */
export async function codeSha256(): Promise<string> {
  const hash = createHash("sha256");
  for (const path of (await Promise.all(CODE.map(filesBelow))).flat().sort()) {
    hash
      .update(`${path}\0`)
      .update(await readFile(join(root, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (entries === undefined) return [path];
  return (await Promise.all(entries.map(({ name }) => filesBelow(`${path}/${name}`)))).flat();
}

/** The commit whose code this is. Throws where the code is not that of any commit. */
export async function committedCode(): Promise<string> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)("git", args, { cwd: root })).stdout.trim();
  const changed = await git("status", "--porcelain", "--", ...CODE);
  if (changed !== "")
    throw new Error(`Evidence is of committed code, and these files are not committed:\n${changed}`);
  return git("rev-parse", "HEAD");
}

export async function readEvidence(file: string): Promise<Evidence> {
  return evidenceSchema.parse(JSON.parse(await readFile(file, "utf8")));
}

/** What an evidence file is worth for the code as it is now. */
export function describeEvidence(evidence: Evidence, code: string): string {
  const { trials, violations, seeds, commit } = evidence;
  const what = `${trials.toString()} trials (seeds ${seeds.from.toString()} to ${seeds.to.toString()}) of commit ${commit.slice(0, 12)}, ${violations.toString()} violations`;
  return evidence.codeSha256 === code
    ? `Of this very code: ${what}.`
    : `Stale: ${what}. The code has changed since; repeat them with npm run test:chaos -- --trials 200 --evidence <file>.`;
}

export function addTally(sum: Tally, more: Tally): void {
  for (const name of eventNames) {
    sum[name].total += more[name].total;
    sum[name].disturbed += more[name].disturbed;
    sum[name].killed += more[name].killed;
    sum[name].disconnected += more[name].disconnected;
  }
}
