import { execFile } from "node:child_process";

import { findPulumi, pulumiEnvironment } from "./find";

export interface Answer {
  readonly isAnswered: boolean;
  /** Standard output. */
  readonly text: string;
  /** What Pulumi has to say where it does not answer, in one line. */
  readonly problem: string;
}

/** Room for the state of 100,000 users. */
const MOST_BYTES = 512 * 1024 * 1024;

/** Asks Pulumi something in the checkout, without a word on the terminal. A CLI that cannot be had answers nothing. */
export async function askPulumi(args: readonly string[]): Promise<Answer> {
  try {
    const cli = await findPulumi();
    return await new Promise((resolve) => {
      execFile(
        cli.binary,
        [...args, "--non-interactive", "--color", "never"],
        { env: { ...process.env, ...pulumiEnvironment(cli) }, maxBuffer: MOST_BYTES },
        (error, text, errors) => {
          resolve({ isAnswered: error === null, text: text.trim(), problem: problemOf(errors) });
        },
      );
    });
  } catch (error) {
    return { isAnswered: false, text: "", problem: error instanceof Error ? error.message : String(error) };
  }
}

function problemOf(errors: string): string {
  const [line = ""] = errors.split("\n").filter((one) => one.startsWith("error: "));
  return line.replace("error: ", "").trim();
}
