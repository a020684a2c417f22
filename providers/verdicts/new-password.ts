import type { Decision } from "../decisions";
import type { Passwords } from "../postgres/ledger";
import type { UserRow } from "../postgres/legacy-users";

/** Why somebody has to set a new password at the first sign-in, in the words that people read. */
export const newPasswordReasons = {
  "unproven-address": "nobody has proven the address",
  hash: "Clerk takes no hash of this form",
  decision: "a decision says so",
  setting: "passwords is set to reset",
} as const;

export type NewPassword = keyof typeof newPasswordReasons;

/** Of somebody whom this stack has made, or is going to make; null where the old password works. */
export function newPasswordOf(
  { digest }: Pick<UserRow, "digest">,
  decision: Decision | undefined,
  passwords: Passwords,
  emailStatus: "verified" | "reserved",
): NewPassword | null {
  // Clerk quarantines a password that comes with an address that nobody has proven.
  if (passwords === "carry") return emailStatus === "reserved" ? "unproven-address" : null;
  if (decision?.passwords === "reset") return "decision";
  return digest !== null && digest.hasher === null ? "hash" : "setting";
}
