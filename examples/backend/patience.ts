import { setTimeout as wait } from "node:timers/promises";

/** How long a request of ours waits for Clerk, whose library would wait for ever. */
const PATIENCE_MS = 5_000;

const LATE = "clerk_late";

/** Nobody knows whether Clerk has carried it out. */
export function isLate(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === LATE;
}

/** The answer, or an error after a while; the request itself may still be carried out. */
export async function withPatience<T>(answer: Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  const waiting = new AbortController();
  const late = wait(patienceMs, undefined, { signal: waiting.signal, ref: false }).then(() => {
    throw Object.assign(new Error("Clerk has not answered in time."), { code: LATE });
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    waiting.abort();
    late.catch(() => undefined);
    answer.catch(() => undefined);
  }
}
