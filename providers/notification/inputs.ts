import { z } from "zod";

import { ways } from "../postgres/ledger";

/** What is declared of one mail to one user. */
export const notificationInputs = z.object({
  userId: z.string(),
  /** 0 is the mail that tells a user; from 1 on they are reminders. */
  number: z.number(),
  way: z.enum(ways),
  label: z.string(),
  stack: z.string(),
  /** Empty in state that an earlier version has written. */
  migrationId: z.string().default(""),
  /** The address it goes to; encrypted in state. */
  email: z.string(),
  /** An address that a decision gives instead of the row's; encrypted, too. */
  decidedEmail: z.string(),
  /** The page that holds `<SignIn/>`; empty for Clerk's Account Portal. */
  redirectUrl: z.string(),
  /** Raised when there is something to do: the mail has to be sent, looked up or taken back. */
  attempt: z.number(),
  /** Whether this run may send it. What earlier versions wrote does not say: nothing is sent that no plan announces. */
  maySend: z.boolean().default(false),
});

export type NotificationInputs = z.infer<typeof notificationInputs>;

/** Without the link, which is a credential. */
export const notificationOutputs = notificationInputs.extend({
  /** Clerk's id of the invitation or the sign-in token; empty where there is none. */
  credentialId: z.string(),
  /** not-needed: a reminder whose user had arrived before it was sent. withheld: nothing is out, and this run may not send it. */
  status: z.enum(["sent", "rehearsed", "failed", "unknown", "not-needed", "withheld"]),
  /** Why it is not sent, and what to do; empty when it is. */
  reason: z.string(),
});

export type NotificationOutputs = z.infer<typeof notificationOutputs>;

/** How state wrote the mail when an invitation was the only one; at first without an address by decision. */
const invitation = z.looseObject({
  number: z.undefined().optional(),
  decidedEmail: z.string().default(""),
  invitationId: z.string().optional(),
});

function inTodaysForm(state: unknown): unknown {
  const earlier = invitation.safeParse(state).data;
  if (earlier === undefined) return state;
  const { invitationId: credentialId, ...others } = earlier;
  return { ...others, number: 0, way: "invitation", credentialId };
}

/** The state as any commit has written it. */
export const storedNotification = {
  inputs: z.preprocess(inTodaysForm, notificationInputs),
  outputs: z.preprocess(inTodaysForm, notificationOutputs),
};

/** The name of its resource. */
export function nameOf({ userId, number }: Pick<NotificationInputs, "userId" | "number">): string {
  return number === 0 ? userId : `${userId}/reminder-${number.toString()}`;
}

/** Only `attempt` does something: a changed address, way or redirect never mails anybody twice. */
export function differs(recorded: NotificationOutputs, declared: NotificationInputs): boolean {
  return (
    recorded.attempt !== declared.attempt ||
    recorded.stack !== declared.stack ||
    recorded.migrationId !== declared.migrationId
  );
}
