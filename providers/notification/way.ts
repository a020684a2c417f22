import { MigrationError } from "../errors";
import type { Owner } from "../postgres/ledger-migrations";
import type { RowWithDigest } from "../postgres/legacy-users";
import type { Systems } from "../systems";
import type { NotificationInputs } from "./inputs";

export interface Recipient {
  /** Lower case. */
  readonly email: string;
  readonly clerkUserId: string;
  readonly row: RowWithDigest;
}

export type Attempted =
  | { readonly status: "sent" | "rehearsed"; readonly credentialId: string | null }
  /** failed: nothing was sent. unknown: it may have been. */
  | { readonly status: "failed" | "unknown"; readonly failure: MigrationError };

/** How a mail goes out and is taken back. */
export interface Delivery {
  /** Whether a mail whose outcome is unknown can be looked up, and repeated where it was not sent. */
  readonly canLookUp: boolean;
  /** The id of ours that is out at this address; undefined where there is none, or where none can be found. */
  find(
    systems: Systems,
    owner: Owner,
    inputs: NotificationInputs,
    email: string,
  ): Promise<string | undefined>;
  /** Sends it, once. Throws nothing that Clerk or the mail server caused. */
  send(systems: Systems, owner: Owner, inputs: NotificationInputs, recipient: Recipient): Promise<Attempted>;
  /** Nothing is left to take back of one that is used, expired, revoked or gone. */
  revoke(systems: Systems, credentialId: string): Promise<void>;
}

/** For a mail that may have arrived. The decision names the attempt, so that it holds once. */
export function resendRemedy(attempt: number): string {
  return `Look into the mail server's log. To send the mail again, write \`resend: ${attempt.toString()}\` for this user into decisions.yaml.`;
}

/** For a mail of our own: it leads to the page that holds `<SignIn/>`. */
export function noPage(): MigrationError {
  return new MigrationError(
    "sign-in-page",
    "No page is set that a mail of ours could lead to.",
    "Set CLERK_INVITE_REDIRECT_URL to the page that holds <SignIn/>.",
  );
}
