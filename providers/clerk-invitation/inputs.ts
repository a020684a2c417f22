import { z } from "zod";

/** What is declared of the one mail that tells a user. */
export const invitationInputs = z.object({
  userId: z.string(),
  label: z.string(),
  project: z.string(),
  stack: z.string(),
  /** The address it goes to; encrypted in state. */
  email: z.string(),
  /** An address that a decision gives instead of the row's; encrypted, too. */
  decidedEmail: z.string(),
  /** The page that holds `<SignIn/>`; empty for Clerk's Account Portal. */
  redirectUrl: z.string(),
  /** Raised by the ledger when the mail has to be tried again. */
  attempt: z.number(),
});

export type InvitationInputs = z.infer<typeof invitationInputs>;

/** Without the invitation's url, which is a credential. */
export const invitationOutputs = invitationInputs.extend({
  invitationId: z.string(),
  status: z.enum(["sent", "failed", "unknown"]),
  /** Why it is not sent, and what to do; empty when it is. */
  reason: z.string(),
});

export type InvitationOutputs = z.infer<typeof invitationOutputs>;

/** Only `attempt` sends again: a changed address or redirect never mails anybody twice. */
export function differs(recorded: InvitationOutputs, declared: InvitationInputs): boolean {
  return recorded.attempt !== declared.attempt;
}
