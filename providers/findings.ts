/** What a check found, before anything is written. */
export interface Finding {
  /** Stable: `database/privileges`. */
  readonly check: string;
  /** ok and note ask for nothing; a problem does; unknown is what cannot be found out from here. */
  readonly status: "ok" | "note" | "problem" | "unknown";
  /** What was found, and what it does to how many rows. */
  readonly sentence: string;
  /** What to change; empty where nothing has to be. */
  readonly remedy: string;
}

export function finding(check: string, status: Finding["status"], sentence: string, remedy = ""): Finding {
  return { check, status, sentence, remedy };
}
