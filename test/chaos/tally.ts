/** What may happen in a life. */
export const eventNames = [
  "up",
  "adopt",
  "update",
  "remind",
  "retire",
  "refresh",
  "rename",
  "lose-ledger",
  "lose-state",
  "change-database",
  "restore",
  "destroy",
] as const;

export type EventName = (typeof eventNames)[number];

/** How often an event took place; disturbed: with a fault, a kill, or the end of all connections to Postgres. */
export interface Count {
  total: number;
  disturbed: number;
  /** With a SIGKILL of engine, provider or both that hit somebody. */
  killed: number;
  /** With the end of all connections to Postgres. */
  disconnected: number;
}

export type Tally = Record<EventName, Count>;

export function emptyTally(): Tally {
  const none = (): Count => ({ total: 0, disturbed: 0, killed: 0, disconnected: 0 });
  return {
    up: none(),
    adopt: none(),
    update: none(),
    remind: none(),
    retire: none(),
    refresh: none(),
    rename: none(),
    "lose-ledger": none(),
    "lose-state": none(),
    "change-database": none(),
    restore: none(),
    destroy: none(),
  };
}
