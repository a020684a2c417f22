import { aboutUser } from "../clerk/errors";
import { isOurs } from "../clerk/user";
import { unknownHere } from "../clerk-user/failures";
import { normalEmail } from "../clerk-user/inputs";
import { MigrationError, otherInstance } from "../errors";
import type { LedgerNotification, Way } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import {
  claimNotification,
  readNotification,
  recordNotBegun,
  recordNotification,
} from "../postgres/ledger-notifications";
import { hasLedger } from "../postgres/ledger-steps";
import { readUser } from "../postgres/ledger-users";
import { fingerprintOf, readRow } from "../postgres/legacy-users";
import type { Systems } from "../systems";
import { isShutOut, mayBeOut, wentElsewhere } from "../verdicts/mails";
import type { NotificationInputs, NotificationOutputs } from "./inputs";
import { invitation } from "./invitation";
import { ownMail } from "./own-mail";
import { type Delivery, type Recipient, resendRemedy } from "./way";

const deliveries: Readonly<Record<Way, Delivery>> = {
  invitation,
  "sign-in-link": ownMail,
  announcement: ownMail,
};

/**
 * Tells one user, at most once, where the plan lets it; otherwise it only looks up what may be out, and takes back what is out
 * at an address that the user no longer has. A refusal or an unavailable service is no error, because that would stop
 * everybody after it: it is recorded, and the next `up` tries again. A mail whose outcome is unknown is never
 * repeated in the same run, and where it cannot be looked up only on a decision, which raises `attempt`.
 */
export async function ensureNotification(
  systems: Systems,
  inputs: NotificationInputs,
): Promise<NotificationOutputs> {
  const owner = await systems.writer(inputs);
  const prepared = await prepare(systems, owner, inputs).catch((error: unknown) => {
    if (error instanceof MigrationError) return notBegun(systems, owner, inputs, error);
    throw error;
  });
  if ("status" in prepared) return prepared;
  const { recipient, found } = prepared;
  const delivery = deliveries[inputs.way];
  const result =
    found === undefined
      ? await delivery.send(systems, owner, inputs, recipient)
      : ({ status: "sent", credentialId: found } as const);
  if ("failure" in result) {
    // Nobody repeats by itself what may be in the mailbox already.
    const isRepeated = result.status === "failed" || delivery.canLookUp;
    const failure = aboutUser(result.failure, inputs.userId);
    const attempt = inputs.attempt + (isRepeated ? 1 : 0);
    await recordNotification(systems.database, owner, inputs, { status: result.status, failure, attempt });
    return notTold(systems, owner, inputs, result.status, failure, isRepeated);
  }
  await recordNotification(systems.database, owner, inputs, {
    ...result,
    emailFingerprint: fingerprintOf(inputs.userId, recipient.email),
    attempt: inputs.attempt,
  });
  return outputsOf(owner, inputs, { status: result.status, credentialId: result.credentialId });
}

interface Prepared {
  readonly recipient: Recipient;
  /** The id of a mail that is out already. */
  readonly found: string | undefined;
}

/** Everything before the mail: claims it, unless there is an answer without one, or it is out already. */
async function prepare(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
): Promise<Prepared | NotificationOutputs> {
  const delivery = deliveries[inputs.way];
  if (inputs.number > 0 && inputs.maySend && (await hasArrived(systems, owner, inputs.userId)))
    return outputsOf(owner, inputs, { status: "not-needed", credentialId: null });
  const recipient = await recipientOf(systems, owner, inputs);
  await takeBackMisplaced(systems, owner, inputs, recipient);
  const before = await ownEntry(systems, owner, inputs);
  if (before !== undefined && isDone(before, inputs)) return outputsOf(owner, inputs, before);
  if (before !== undefined && mayBeOut(before) && !delivery.canLookUp && inputs.attempt <= before.attempt)
    return staysUnknown(systems, owner, inputs, before);
  const isOpen = before !== undefined && (mayBeOut(before) || before.status === "revoking");
  const found = isOpen ? await delivery.find(systems, owner, inputs, recipient.email) : undefined;
  if (found !== undefined) return { recipient, found };
  if (!inputs.maySend) return withheld(systems, owner, inputs, before);
  if (isShutOut(recipient.row)) throw shutOut(inputs.userId);
  // Its successor is on its way, and a ledger row holds one.
  if (before?.credentialId != null) await deliveries[before.way].revoke(systems, before.credentialId);
  await claimNotification(systems.database, owner, inputs);
  return { recipient, found };
}

/** This run sends nothing. Of what is not out the state gets the attempt before, so that a run which may send finds a change. */
async function withheld(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  before: LedgerNotification | undefined,
): Promise<NotificationOutputs> {
  if (before !== undefined && mayBeOut(before)) {
    const reason = before.failure === null ? "" : `${before.failure.reason} ${before.failure.remedy}`;
    return outputsOf(owner, inputs, { status: "unknown", credentialId: null }, reason);
  }
  if (before?.status === "revoking") {
    if (before.credentialId !== null) await deliveries[before.way].revoke(systems, before.credentialId);
    await recordNotification(systems.database, owner, inputs, { status: "revoked" });
  }
  return outputsOf(owner, attemptBefore(inputs), { status: "withheld", credentialId: null });
}

function attemptBefore(inputs: NotificationInputs): NotificationInputs {
  return { ...inputs, attempt: inputs.attempt - 1 };
}

function outputsOf(
  owner: Owner,
  inputs: NotificationInputs,
  {
    status,
    credentialId,
  }: { readonly status: NotificationOutputs["status"]; readonly credentialId: string | null },
  reason = "",
): NotificationOutputs {
  return { ...inputs, migrationId: owner.migrationId, status, reason, credentialId: credentialId ?? "" };
}

type Done = LedgerNotification & { readonly status: "sent" | "rehearsed" };

/** A rehearsal tells nobody: whoever is declared anew after one is told. */
function isDone(entry: LedgerNotification, { attempt }: NotificationInputs): entry is Done {
  return entry.status === "sent" || (entry.status === "rehearsed" && attempt <= entry.attempt);
}

/** It failed before the mail was claimed: what is out, or may be, or is being taken back, stays on record as such. */
async function notBegun(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  error: MigrationError,
): Promise<NotificationOutputs> {
  const failure = aboutUser(error, inputs.userId);
  const before = await ownEntry(systems, owner, inputs);
  // The state gets the attempt before: what had to be done is then declared again.
  const again = attemptBefore(inputs);
  if (before !== undefined && isDone(before, inputs)) return outputsOf(owner, again, before);
  if (before?.status === "revoking") {
    await recordNotification(systems.database, owner, inputs, { status: "revoking", failure });
    return notTold(systems, owner, again, "failed", failure, true);
  }
  if (before !== undefined && mayBeOut(before)) {
    const { attempt } = before;
    await recordNotification(systems.database, owner, inputs, { status: "unknown", failure, attempt });
    return notTold(systems, owner, { ...inputs, attempt: attempt - 1 }, "unknown", failure, true);
  }
  await recordNotBegun(systems.database, owner, { ...inputs, attempt: inputs.attempt + 1 }, failure);
  return notTold(systems, owner, inputs, "failed", failure, true);
}

/** A warning, so that nobody's migration stops because a mail did not go out. */
function notTold(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  status: "failed" | "unknown",
  failure: MigrationError,
  isRepeated: boolean,
): NotificationOutputs {
  const next = isRepeated ? "Not told, next up tries again" : "Nobody knows whether told";
  systems.warn(`${next}: ${failure.message}`);
  return outputsOf(owner, inputs, { status, credentialId: null }, failure.message);
}

/** It was cut off, or lost, and another one could be the second: a person has to say so. */
async function staysUnknown(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  before: LedgerNotification,
): Promise<NotificationOutputs> {
  const { userId, attempt, credentialId } = before;
  const failure = before.failure ?? {
    code: "mail-unknown",
    reason: `User ${userId}: the run was cut off while the mail was on its way, and a mail server cannot be asked whether it got it.`,
    remedy: resendRemedy(attempt),
  };
  if (before.status !== "unknown")
    await recordNotification(systems.database, owner, inputs, { status: "unknown", failure, attempt });
  const reason = `${failure.reason} ${failure.remedy}`;
  return outputsOf(owner, inputs, { status: "unknown", credentialId }, reason);
}

/** What the ledger says, unless it is of another stack: that mail told of another account. */
async function ownEntry(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
): Promise<LedgerNotification | undefined> {
  const found = await readNotification(systems.database, owner, inputs);
  return found?.stack === owner.stack ? found : undefined;
}

function shutOut(userId: string): MigrationError {
  return new MigrationError(
    "shut-out",
    `User ${userId} was banned or deleted in the application since this run began, so nothing was sent.`,
    "Nothing is left to do: once that is lifted, the next `npm run up` tells the user.",
  );
}

/**
 * A mail went to an address that the user no longer has, or to somebody whom the application has banned or deleted since. Its
 * link is revoked before anything else; whoever has arrived meanwhile has read it, and is not told again.
 */
async function takeBackMisplaced(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
  { row, email }: Recipient,
): Promise<void> {
  const { database } = systems;
  const { userId } = inputs;
  const out = await ownEntry(systems, owner, inputs);
  if (out === undefined || (out.status !== "sent" && out.status !== "revoking")) return;
  if (!wentElsewhere(out, userId, email) && !isShutOut(row)) return;
  if (out.status === "sent" && (await hasArrived(systems, owner, userId))) {
    await recordNotification(database, owner, inputs, {
      status: "sent",
      credentialId: out.credentialId,
      emailFingerprint: fingerprintOf(userId, email),
      attempt: inputs.attempt,
    });
    return;
  }
  if (out.status === "sent") await recordNotification(database, owner, inputs, { status: "revoking" });
  if (out.credentialId !== null) await deliveries[out.way].revoke(systems, out.credentialId);
  await recordNotification(database, owner, inputs, { status: "revoked" });
}

/** Whom the row names now: the mail goes where the user is, or not at all. */
async function recipientOf(
  systems: Systems,
  owner: Owner,
  { userId, decidedEmail }: NotificationInputs,
): Promise<Recipient> {
  const user = await readUser(systems.database, owner, userId);
  const row = await readRow(systems.database, systems.settings.table, userId);
  const email = normalEmail(decidedEmail || (row?.email ?? ""));
  if (row !== undefined && email !== "" && user?.status === "linked" && user.stack === owner.stack)
    return { row, email, clerkUserId: user.clerkUserId ?? "" };
  throw new MigrationError(
    "not-linked",
    `User ${userId} is not linked to Clerk, so there is nothing to tell.`,
    "See why the user's own resource failed; both are tried again by the next `up`.",
  );
}

/** Takes the mail back: revokes what is still open. An accepted one stays, and is never sent again. */
export async function takeBack(systems: Systems, outputs: NotificationOutputs): Promise<void> {
  const owner = await systems.owner(outputs);
  const entry = await entryOf(systems, owner, outputs);
  if (entry === undefined) return takeBackForgotten(systems, owner, outputs);
  await takeBackNotification(systems, await systems.writer(outputs), outputs);
}

/** Whether a deletion would do anything: the mail is out, or the ledger does not know it. */
export async function isOutHere(systems: Systems, outputs: NotificationOutputs): Promise<boolean> {
  const owner = await systems.owner(outputs);
  const entry = await entryOf(systems, owner, outputs);
  if (entry === undefined) return outputs.credentialId !== "";
  return entry.stack === owner.stack && isTakenBack(entry);
}

async function entryOf(
  { database }: Systems,
  owner: Owner,
  outputs: NotificationOutputs,
): Promise<LedgerNotification | undefined> {
  return (await hasLedger(database)) ? readNotification(database, owner, outputs) : undefined;
}

/** Whether something of it may still be open. */
function isTakenBack({ status }: LedgerNotification): boolean {
  return status !== "failed" && status !== "revoked" && status !== "rehearsed";
}

/** The ledger has lost it, and the state knows the id of what is open. Only where the row leads to our user: this is the database. */
async function takeBackForgotten(
  systems: Systems,
  owner: Owner,
  { userId, way, credentialId }: NotificationOutputs,
): Promise<void> {
  if (credentialId === "") return;
  const link = (await readRow(systems.database, systems.settings.table, userId))?.clerkUserId;
  const live = link == null ? undefined : await systems.clerk.user(link);
  if (live === undefined || !isOurs(live, userId, owner)) throw unknownHere(userId, "an open mail");
  await deliveries[way].revoke(systems, credentialId);
}

/** The same for the sweep of the `migration` resource, which knows the ledger only: the address is in the row. */
export async function takeBackNotification(
  systems: Systems,
  owner: Owner,
  inputs: NotificationInputs,
): Promise<void> {
  const { database } = systems;
  const { userId } = inputs;
  const before = await readNotification(database, owner, inputs);
  if (before === undefined || before.stack !== owner.stack || !isTakenBack(before)) return;
  if (before.clerkInstanceId !== owner.clerkInstanceId)
    throw otherInstance(`User ${userId}`, before.clerkInstanceId, owner.clerkInstanceId);
  const delivery = deliveries[before.way];
  const email =
    inputs.email || normalEmail((await readRow(database, systems.settings.table, userId))?.email ?? "");
  const credentialId = before.credentialId ?? (await delivery.find(systems, owner, inputs, email));
  // Whoever has arrived has read it: telling such a user again, should the rollback be refused, would be a second mail.
  const arrived = await hasArrived(systems, owner, userId);
  if (!arrived && before.status !== "revoking")
    await recordNotification(database, owner, inputs, { status: "revoking" });
  if (credentialId !== undefined) await delivery.revoke(systems, credentialId);
  if (!arrived) await recordNotification(database, owner, inputs, { status: "revoked" });
}

async function hasArrived(systems: Systems, owner: Owner, userId: string): Promise<boolean> {
  const user = await readUser(systems.database, owner, userId);
  if (user?.clerkUserId == null) return false;
  return ((await systems.clerk.user(user.clerkUserId))?.lastSignInAt ?? null) !== null;
}
