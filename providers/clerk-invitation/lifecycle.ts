import { ClerkError, isOutcomeUnknown } from "../clerk/errors";
import type { ClerkInvitation } from "../clerk/user";
import { normalEmail } from "../clerk-user/inputs";
import { MigrationError, otherInstance } from "../errors";
import { type LedgerInvitation, type Owner } from "../postgres/ledger";
import { claimInvitation, readInvitation, recordInvitation } from "../postgres/ledger-invitations";
import { readUser } from "../postgres/ledger-users";
import { fingerprintOf, readRow } from "../postgres/legacy-users";
import type { Systems } from "../systems";
import { wentElsewhere } from "../verdicts/mails";
import type { InvitationInputs, InvitationOutputs } from "./inputs";

/**
 * Tells one user, at most once. A refusal or an unavailable service is no error, because that would stop
 * everybody after it: it is recorded, and the next `up` tries again. A mail whose outcome is unknown is never
 * repeated in the same run.
 */
export async function ensureInvitation(
  systems: Systems,
  inputs: InvitationInputs,
): Promise<InvitationOutputs> {
  const { database } = systems;
  const { userId } = inputs;
  const owner = await systems.writer(inputs.stack);

  await takeBackFromOldAddress(systems, owner, inputs);
  const before = await claimInvitation(database, owner, userId);
  if (before?.status === "sent" && before.invitationId !== null) return sent(inputs, before.invitationId);
  try {
    const email = await addressOf(systems, owner, inputs);
    const invitation =
      (await observe(systems, inputs, before, email)) ??
      (await systems.clerk.createInvitation({
        emailAddress: email,
        redirectUrl: inputs.redirectUrl || null,
        mark: { project: inputs.project, stack: inputs.stack, userId },
      }));
    await recordInvitation(database, userId, {
      status: "sent",
      invitationId: invitation.id,
      emailFingerprint: fingerprintOf(userId, email),
      attempt: inputs.attempt,
    });
    return sent(inputs, invitation.id);
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    const failure = error instanceof ClerkError ? error.about(userId) : error;
    const status = isOutcomeUnknown(error) ? "unknown" : "failed";
    await recordInvitation(database, userId, { status, failure });
    systems.warn(`Not told, next up tries again: ${failure.message}`);
    return { ...inputs, invitationId: "", status, reason: failure.message };
  }
}

/**
 * A mail went to an address that the user no longer has. Its link is revoked before the new address is told; whoever has
 * arrived meanwhile has read it, and is not told again.
 */
async function takeBackFromOldAddress(
  systems: Systems,
  owner: Owner,
  inputs: InvitationInputs,
): Promise<void> {
  const { database } = systems;
  const { userId } = inputs;
  const out = await readInvitation(database, userId);
  if (out === undefined || out.invitationId === null || out.stack !== owner.stack) return;
  const email = await addressOf(systems, owner, inputs).catch(() => undefined);
  if (email === undefined || !wentElsewhere(out, userId, email)) return;
  if (out.status === "sent" && (await hasArrived(systems, userId))) {
    await recordInvitation(database, userId, {
      status: "sent",
      invitationId: out.invitationId,
      emailFingerprint: fingerprintOf(userId, email),
      attempt: inputs.attempt,
    });
    return;
  }
  if (out.status === "sent") await recordInvitation(database, userId, { status: "revoking" });
  await systems.clerk.revokeInvitation(out.invitationId);
  await recordInvitation(database, userId, { status: "revoked" });
}

/** The address in the row now: the mail goes where the user is, or not at all. */
async function addressOf(
  systems: Systems,
  owner: Owner,
  { userId, decidedEmail }: InvitationInputs,
): Promise<string> {
  const user = await readUser(systems.database, userId);
  const row = await readRow(systems.database, systems.settings.table, userId);
  const email = decidedEmail || (row?.email ?? "");
  if (email !== "" && user?.status === "linked" && user.stack === owner.stack) return normalEmail(email);
  throw new MigrationError(
    "not-linked",
    `User ${userId} is not linked to Clerk, so there is nothing to tell.`,
    "See why the user's own resource failed; both are tried again by the next `up`.",
  );
}

/** Ours that is out already, where an earlier run may have sent it, or may not have come to revoke it. */
async function observe(
  systems: Systems,
  inputs: InvitationInputs,
  before: LedgerInvitation | undefined,
  email: string,
): Promise<ClerkInvitation | undefined> {
  if (before === undefined || before.status === "failed" || before.status === "revoked") return undefined;
  const invitations = await systems.clerk.invitationsTo(email);
  return invitations.find((invitation) => isOurs(invitation, inputs));
}

function isOurs(invitation: ClerkInvitation, inputs: InvitationInputs): boolean {
  const { mark } = invitation;
  return mark?.project === inputs.project && mark.stack === inputs.stack && mark.userId === inputs.userId;
}

function sent(inputs: InvitationInputs, invitationId: string): InvitationOutputs {
  return { ...inputs, invitationId, status: "sent", reason: "" };
}

/** Takes the mail back: revokes what is still open. An accepted one stays, and is never sent again. */
export async function revokeInvitation(systems: Systems, outputs: InvitationOutputs): Promise<void> {
  const owner = await systems.writer(outputs.stack);
  await takeBackInvitation(systems, owner, outputs);
}

/** The same for the sweep of the `migration` resource, which knows the ledger only: the address is in the row. */
export async function takeBackInvitation(
  systems: Systems,
  owner: Owner,
  inputs: InvitationInputs,
): Promise<void> {
  const { clerk, database } = systems;
  const { userId } = inputs;
  const before = await readInvitation(database, userId);
  if (before === undefined || before.stack !== owner.stack) return;
  if (before.status === "failed" || before.status === "revoked") return;
  if (before.clerkInstanceId !== owner.clerkInstanceId) {
    throw otherInstance(`User ${userId}`, before.clerkInstanceId, owner.clerkInstanceId);
  }
  const email =
    inputs.email || normalEmail((await readRow(database, systems.settings.table, userId))?.email ?? "");
  const invitationId = before.invitationId ?? (await observe(systems, inputs, before, email))?.id;
  // Whoever has arrived has read it: telling such a user again, should the rollback be refused, would be a second mail.
  const arrived = await hasArrived(systems, userId);
  if (!arrived && before.status !== "revoking")
    await recordInvitation(database, userId, { status: "revoking" });
  if (invitationId !== undefined) await clerk.revokeInvitation(invitationId);
  if (!arrived) await recordInvitation(database, userId, { status: "revoked" });
}

async function hasArrived(systems: Systems, userId: string): Promise<boolean> {
  const user = await readUser(systems.database, userId);
  if (user?.clerkUserId == null) return false;
  return ((await systems.clerk.user(user.clerkUserId))?.lastSignInAt ?? null) !== null;
}
