import { MigrationError } from "../providers/errors";
import { NoPulumi } from "./pulumi-cli/find";

/** Runs what an npm script starts: its exit code is the process's, and expected failures are a sentence. */
export async function command(main: (args: readonly string[]) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof MigrationError || error instanceof NoPulumi)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Keeps the process alive until somebody ends it, with Ctrl-C or otherwise. */
export async function interrupted(): Promise<void> {
  const alive = setInterval(() => undefined, 2 ** 30);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
  clearInterval(alive);
}
