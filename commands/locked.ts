import { hostname } from "node:os";

/**
 * What to do where Pulumi could not go on because of what a killed run has left behind; undefined where its own
 * message is enough. `errors` is what it printed on standard error.
 */
export function adviceFor(
  errors: string,
  isAlive: (pid: number) => boolean,
  host = hostname(),
): string | undefined {
  if (errors.includes("failed to load checkpoint")) {
    return "A run was killed while it wrote the stack's state. In the back end's .pulumi/stacks folder, delete the file of the stack that ends in .attrs if it is empty; if the state itself (.json) is empty, put its backup (.json.bak) in its place. Then run again: users made since then are found by the ledger.";
  }
  const lock = /locked by \d+ lock\(s\)[\s\S]*created by [^@\s]*@(\S+) \(pid (\d+)\)/.exec(errors);
  if (lock === null) return undefined;
  const [, holder = "", pid = ""] = lock;
  if (holder !== host) {
    return `The lock is held by process ${pid} on ${holder}. If no run is under way there, take the lock away with \`npm run pulumi -- cancel\` and run again.`;
  }
  return isAlive(Number(pid))
    ? `The lock is held by process ${pid}, which is still running here: wait until it has ended.`
    : `The lock is held by process ${pid}, which is no longer running: take the lock away with \`npm run pulumi -- cancel\` and run again.`;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It runs, and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
