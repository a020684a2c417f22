import type { SignInToken } from "../clerk/client";
import { ClerkError } from "../clerk/errors";
import { profileWithDigest } from "../clerk-user/inputs";
import { MigrationError } from "../errors";
import { explainOutcome } from "../mail/outcome";
import type { Owner } from "../postgres/ledger-migrations";
import { recordCredential } from "../postgres/ledger-notifications";
import type { Systems } from "../systems";
import type { NotificationInputs } from "./inputs";
import { type Delivery, noPage, type Recipient, resendRemedy } from "./way";

const DAY_S = 24 * 3600;

/** A mail that we send over SMTP, where nothing can be looked up: an unknown outcome stays one. */
export const ownMail: Delivery = {
  canLookUp: false,

  find: () => Promise.resolve(undefined),

  async send(systems, owner, inputs, recipient) {
    try {
      return await deliver(systems, owner, inputs, recipient);
    } catch (error) {
      // Everything before the mail itself: a token that nobody has seen does no harm.
      if (!(error instanceof MigrationError)) throw error;
      return { status: "failed", failure: error };
    }
  },

  async revoke({ clerk }, credentialId) {
    await clerk.revokeSignInToken(credentialId);
  },
};

async function deliver(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  { row, email, clerkUserId }: Recipient,
) {
  const mailer = systems.mailer();
  const { userId, number, attempt, redirectUrl } = inputs;
  if (redirectUrl === "") throw noPage();
  // A rehearsal must not hold a link that signs its reader in as somebody else.
  const token =
    inputs.way === "announcement" || mailer.isRehearsal
      ? undefined
      : await makeToken(systems, owner, inputs, clerkUserId);
  const outcome = await mailer.send({
    to: email,
    id: [owner.migrationId, userId, number.toString(), attempt.toString()],
    isReminder: number > 0,
    values: {
      firstName: profileWithDigest(row, inputs.decidedEmail).firstName || null,
      signInUrl: redirectUrl,
      ...(inputs.way === "announcement"
        ? { kind: "announcement" }
        : {
            kind: "sign-in-link",
            link: linkTo(redirectUrl, token?.token ?? "rehearsal"),
            expires: new Date(Date.now() + systems.settings.linkExpiresInDays * DAY_S * 1000),
          }),
    },
  });
  const credentialId = token?.id ?? null;
  if (outcome.outcome === "accepted")
    return { status: mailer.isRehearsal ? "rehearsed" : "sent", credentialId } as const;
  // A rehearsal that may have arrived twice harms nobody.
  const isUnknown = outcome.outcome === "unknown" && !mailer.isRehearsal;
  const { reason, remedy } = explainOutcome(outcome);
  const failure = new MigrationError(
    `mail-${outcome.outcome}`,
    `User ${userId}: ${reason}`,
    isUnknown ? resendRemedy(attempt) : remedy,
  );
  if (isUnknown) return { status: "unknown", failure } as const;
  // It expires by itself, should this fail.
  if (token !== undefined) await systems.clerk.revokeSignInToken(token.id).catch(ignoreClerk);
  return { status: "failed", failure } as const;
}

async function makeToken(
  { clerk, database, settings }: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  clerkUserId: string,
): Promise<SignInToken> {
  const token = await clerk.createSignInToken(clerkUserId, settings.linkExpiresInDays * DAY_S);
  await recordCredential(database, owner, inputs, token.id);
  return token;
}

/** `<SignIn/>` takes the ticket from the address (clerk.com/docs, embedded e-mail links). */
function linkTo(page: string, ticket: string): string {
  const url = new URL(page);
  url.searchParams.set("__clerk_ticket", ticket);
  return url.toString();
}

function ignoreClerk(error: unknown): void {
  if (!(error instanceof ClerkError)) throw error;
}
