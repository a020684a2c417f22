import { Refusal } from "./errors";

/** What the numbers of tries in the settings are counted over. */
export const TIME_WINDOW_MS = 15 * 60_000;

/** How many addresses and IPs are counted at a time; a process of its own counts for itself. */
export const COUNTED = 50_000;

export function tooMany(): Refusal {
  return new Refusal(429, "Too many tries. Come back in a quarter of an hour.");
}
