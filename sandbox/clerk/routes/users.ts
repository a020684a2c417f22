import { z } from "zod";

import { checkEnabled } from "../attributes";
import { type Answer, type Call, json, type Route } from "../call";
import { checkUnclaimed } from "../claims";
import {
  deprecatedParameter,
  lockoutDisabled,
  missingResource,
  needsVerification,
  notFound,
  planTooSmall,
} from "../errors";
import type { Instance } from "../instance";
import { sendMail } from "../outbox";
import { NAME_LENGTH, parse, pastTime, username } from "../parameters";
import { passwordFrom } from "../passwords";
import type { User } from "../records";
import { revokeSessions } from "../sessions";
import { deletedJson, userJson } from "../user-json";

const changedUser = z.strictObject({
  external_id: z.string().nullish(),
  first_name: z.string().max(NAME_LENGTH).nullish(),
  last_name: z.string().max(NAME_LENGTH).nullish(),
  locale: z.string().nullish(),
  primary_email_address_id: z.string().nullish(),
  notify_primary_email_address_changed: z.boolean().nullish(),
  primary_phone_number_id: z.string().nullish(),
  primary_web3_wallet_id: z.string().nullish(),
  username: z.string().nullish(),
  profile_image_id: z.string().nullish(),
  password: z.string().nullish(),
  password_digest: z.string().optional(),
  password_hasher: z.string().optional(),
  skip_password_checks: z.boolean().nullish(),
  sign_out_of_other_sessions: z.boolean().nullish(),
  totp_secret: z.string().nullish(),
  backup_codes: z.array(z.string()).optional(),
  delete_self_enabled: z.boolean().nullish(),
  create_organization_enabled: z.boolean().nullish(),
  legal_accepted_at: z.string().nullish(),
  skip_legal_checks: z.boolean().nullish(),
  create_organizations_limit: z.int().nullish(),
  created_at: z.string().nullish(),
  bypass_client_trust: z.boolean().nullish(),
});

const METADATA_FIELDS = ["public_metadata", "private_metadata", "unsafe_metadata"] as const;

export const userRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/users/{user_id}",
    handle: (instance, call) => json(userJson(userOf(instance, call))),
  },
  { method: "PATCH", path: "/users/{user_id}", handle: changeUser },
  { method: "DELETE", path: "/users/{user_id}", handle: deleteUser },
  {
    method: "POST",
    path: "/users/{user_id}/ban",
    handle: (instance, call) => setBanned(instance, call, true),
  },
  {
    method: "POST",
    path: "/users/{user_id}/unban",
    handle: (instance, call) => setBanned(instance, call, false),
  },
  {
    method: "POST",
    path: "/users/{user_id}/lock",
    handle: (instance, call) => setLocked(instance, call, true),
  },
  {
    method: "POST",
    path: "/users/{user_id}/unlock",
    handle: (instance, call) => setLocked(instance, call, false),
  },
];

/** The user a path names, or Clerk's 404. */
export function userOf(instance: Instance, call: Call): User {
  return userById(instance, call.param("user_id"));
}

export function userById({ store }: Instance, id: string): User {
  const user = store.users.get(id);
  if (!user) throw notFound("user", id);
  return user;
}

async function changeUser(instance: Instance, call: Call): Promise<Answer> {
  userOf(instance, call);
  refuseMetadata(call.body);
  const given = parse(changedUser, call.body);
  checkEnabled(instance, {
    username: given.username,
    first_name: given.first_name,
    last_name: given.last_name,
    password: given.password ?? given.password_digest,
  });
  const password = await passwordFrom(instance, given);
  // Read again: a request that came meanwhile may have changed or deleted the user.
  const before = userOf(instance, call);
  const now = instance.now();
  const after: User = {
    ...before,
    externalId: unlessUnsent(given.external_id, before.externalId),
    firstName: unlessUnsent(given.first_name, before.firstName),
    lastName: unlessUnsent(given.last_name, before.lastName),
    locale: unlessUnsent(given.locale, before.locale),
    username: newUsername(instance, before, given.username),
    createOrganizationsLimit: unlessUnsent(given.create_organizations_limit, before.createOrganizationsLimit),
    bypassClientTrust: given.bypass_client_trust ?? before.bypassClientTrust,
    deleteSelfEnabled: given.delete_self_enabled ?? before.deleteSelfEnabled,
    createOrganizationEnabled: given.create_organization_enabled ?? before.createOrganizationEnabled,
    totpEnabled: before.totpEnabled || given.totp_secret != null,
    backupCodeEnabled: before.backupCodeEnabled || (given.backup_codes ?? []).length > 0,
    createdAt: given.created_at == null ? before.createdAt : pastTime(given.created_at, "created_at", now),
    legalAcceptedAt:
      given.legal_accepted_at == null
        ? before.legalAcceptedAt
        : pastTime(given.legal_accepted_at, "legal_accepted_at", now),
    primaryEmailAddressId: primaryEmailAddress(before, given.primary_email_address_id),
    ...(password && { password, requiresPasswordReset: false }),
    updatedAt: now,
  };
  checkUnclaimed(instance, after);
  instance.store.putUser(after);
  if (password && given.sign_out_of_other_sessions) revokeSessions(instance, after.id);
  if (given.notify_primary_email_address_changed) tellOfNewPrimary(instance, before, after);
  return json(userJson(after));
}

/** Since API version 2026-05-12 metadata has its own endpoint. */
function refuseMetadata(body: unknown): void {
  const field = METADATA_FIELDS.find((name) => typeof body === "object" && body !== null && name in body);
  if (field !== undefined) throw deprecatedParameter(field);
}

/** null is a value, and clears the field; only what was not sent stays as it was. */
function unlessUnsent<T>(given: T | undefined, before: T): T {
  return given === undefined ? before : given;
}

/** A blank one removes it. */
function newUsername(instance: Instance, before: User, given: string | null | undefined): string | null {
  if (given === undefined) return before.username;
  return given === null || given === "" ? null : username(instance, given);
}

function primaryEmailAddress(user: User, id: string | null | undefined): string | null {
  if (id == null) return user.primaryEmailAddressId;
  const address = user.emailAddresses.find((candidate) => candidate.id === id);
  if (!address) throw missingResource("primary_email_address_id");
  if (address.status !== "verified") throw needsVerification("primary_email_address_id");
  return id;
}

/** Tells the previous primary address, if there was one and it is another now. */
export function tellOfNewPrimary(instance: Instance, before: User, after: User): void {
  const primaryOf = (user: User) =>
    user.emailAddresses.find((address) => address.id === user.primaryEmailAddressId)?.emailAddress;
  const previous = primaryOf(before);
  if (previous !== undefined && previous !== primaryOf(after)) {
    sendMail(instance, previous, "primary_email_address_changed", null);
  }
}

function deleteUser(instance: Instance, call: Call): Answer {
  const user = userOf(instance, call);
  instance.store.removeUser(user.id);
  for (const session of instance.store.sessions.values()) {
    if (session.userId === user.id) instance.store.sessions.delete(session.id);
  }
  return json(deletedJson("user", user.id, user.externalId));
}

function setBanned(instance: Instance, call: Call, banned: boolean): Answer {
  if (!instance.settings.paidPlan) throw planTooSmall("banning users");
  const user = userOf(instance, call);
  if (banned) revokeSessions(instance, user.id);
  return json(userJson(instance.store.changeUser(user.id, { banned, updatedAt: instance.now() })));
}

function setLocked(instance: Instance, call: Call, locked: boolean): Answer {
  if (!instance.settings.lockout) throw lockoutDisabled();
  const user = userOf(instance, call);
  return json(userJson(instance.store.changeUser(user.id, { locked, updatedAt: instance.now() })));
}
