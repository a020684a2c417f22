import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";

import { findPulumi, pulumiEnvironment } from "./find";

/** Signals that arrive within this time are one: npm passes on what the whole group has received as well. */
const ECHO_MS = 1_000;

export interface RunOptions {
  /** @default that of this process */
  readonly environment?: NodeJS.ProcessEnv;
  /** Gets Pulumi's standard output instead of the terminal. */
  readonly onOutput?: (text: string) => void;
  /** Sees Pulumi's standard error besides the terminal. */
  readonly onErrors?: (text: string) => void;
}

/** Runs Pulumi in the checkout with this process's standard streams, and answers its exit code. */
export async function runPulumi(args: readonly string[], options: RunOptions = {}): Promise<number> {
  const { environment = process.env, onOutput, onErrors } = options;
  const cli = await findPulumi({ environment });
  // A terminal sends Ctrl-C to each process of its foreground group; without one, only we shall tell Pulumi. Either way
  // it hears of an interruption once: at the second it would stop without saving what it has done.
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const child = spawn(cli.binary, args, {
    stdio: [
      "inherit",
      onOutput === undefined ? "inherit" : "pipe",
      onErrors === undefined ? "inherit" : "pipe",
    ],
    env: { ...environment, ...pulumiEnvironment(cli, environment) },
    detached: !inTerminal,
  });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => onOutput?.(text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    process.stderr.write(text);
    onErrors?.(text);
  });

  let lastSignalAt = -Infinity;
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const passOn = (signal: NodeJS.Signals) => {
    if (performance.now() - lastSignalAt < ECHO_MS) return;
    lastSignalAt = performance.now();
    if (!(inTerminal && signal === "SIGINT")) child.kill(signal);
  };
  for (const signal of signals) process.on(signal, passOn);
  await once(child, "close");
  for (const signal of signals) process.off(signal, passOn);
  return child.exitCode ?? 128 + constants.signals[child.signalCode ?? "SIGKILL"];
}
