import type { Clerk } from "./clerk/client";
import { normalEmail } from "./clerk-user/inputs";
import { MigrationError } from "./errors";
import type { Environment } from "./settings";

/** A user whose password somebody knows, to see that carried passwords work. */
export interface Canary {
  readonly email: string;
  readonly password: string;
}

/** CANARY_EMAIL and CANARY_PASSWORD, each one or several between commas, in the same order. */
export function canariesIn(environment: Environment): Canary[] {
  const list = (name: string) => (environment[name] ?? "").split(",").filter((item) => item.trim() !== "");
  const [emails, passwords] = [list("CANARY_EMAIL"), list("CANARY_PASSWORD")];
  if (emails.length !== passwords.length) {
    throw new MigrationError(
      "canaries",
      `CANARY_EMAIL has ${emails.length.toString()} addresses and CANARY_PASSWORD ${passwords.length.toString()} passwords.`,
      "Give one password for each address, between commas.",
    );
  }
  return emails.map((email, index) => ({ email: normalEmail(email), password: passwords[index] ?? "" }));
}

/** Why carried passwords cannot be trusted now; empty where all canaries are fine, or there is none. */
export async function canaryProblem(clerk: Clerk, canaries: readonly Canary[]): Promise<string> {
  for (const { email, password } of canaries) {
    const live = await clerk.userByEmail(email);
    if (live === undefined) return "Nobody in Clerk has the address of a canary";
    if (!(await clerk.isPassword(live.id, password)))
      return `Clerk does not take the password of the canary ${live.id}`;
  }
  return "";
}
