export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly elapsedMs: number;
  /** Requests that were sent once more. */
  readonly repeated: number;
}

/** `120 of 1,000 users, 23 a second, 4 requests repeated, about 40 s left`. */
export function progressLine({ done, total, elapsedMs, repeated }: Progress): string {
  const rate = done / (elapsedMs / 1000);
  const left = rate > 0 ? (total - done) / rate : Infinity;
  return [
    `${done.toLocaleString("en")} of ${total.toLocaleString("en")} users`,
    `${rate >= 10 ? Math.round(rate).toString() : rate.toFixed(1)} a second`,
    ...(repeated > 0 ? [`${repeated.toLocaleString("en")} requests repeated`] : []),
    ...(Number.isFinite(left) && left > 0 ? [`about ${spanOf(left)} left`] : []),
  ].join(", ");
}

function spanOf(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds).toString()} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60).toString()} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

const EVERY_MS = 5_000;

/**
 * Says every few seconds how far it is, from the first of them on: a short run says nothing. `say` gets a line,
 * `repeated` asks for the number of repeated requests.
 */
export async function withProgress<T>(
  total: number,
  repeated: () => Promise<number>,
  say: (line: string) => Promise<void>,
  work: (onDone: () => void) => Promise<T>,
  everyMs = EVERY_MS,
): Promise<T> {
  const start = performance.now();
  let done = 0;
  const tick = async () => {
    const elapsedMs = performance.now() - start;
    await say(progressLine({ done, total, elapsedMs, repeated: await repeated() }));
  };
  // What only informs must not make a run fail.
  const timer = setInterval(() => void tick().catch(() => undefined), everyMs);
  try {
    return await work(() => done++);
  } finally {
    clearInterval(timer);
  }
}
