import { z } from "zod";

import { checkAccess } from "../access";
import { checkEnabled, checkRequired } from "../attributes";
import { json, type Route } from "../call";
import { checkUnclaimed } from "../claims";
import { lengthMismatch, lockoutDisabled, planTooSmall, userQuotaExceeded } from "../errors";
import { newId } from "../ids";
import type { Instance } from "../instance";
import {
  checkMetadata,
  emailAddress,
  metadata,
  NAME_LENGTH,
  parse,
  pastTime,
  phoneNumber,
  username,
} from "../parameters";
import { passwordFrom } from "../passwords";
import type { EmailAddress, Password, PhoneNumber, User } from "../records";
import { userJson } from "../user-json";

const identificationStatus = z.array(z.enum(["verified", "reserved"])).optional();

const newUser = z.strictObject({
  external_id: z.string().nullish(),
  first_name: z.string().max(NAME_LENGTH).nullish(),
  last_name: z.string().max(NAME_LENGTH).nullish(),
  locale: z.string().nullish(),
  email_address: z.array(z.string()).optional(),
  email_address_identification_status: identificationStatus,
  phone_number: z.array(z.string()).optional(),
  phone_number_identification_status: identificationStatus,
  web3_wallet: z.array(z.string()).optional(),
  username: z.string().nullish(),
  password: z.string().nullish(),
  password_digest: z.string().nullish(),
  password_hasher: z.string().optional(),
  skip_password_checks: z.boolean().nullish(),
  skip_password_requirement: z.boolean().nullish(),
  totp_secret: z.string().nullish(),
  backup_codes: z.array(z.string()).optional(),
  public_metadata: metadata.default({}),
  private_metadata: metadata.default({}),
  unsafe_metadata: metadata.default({}),
  delete_self_enabled: z.boolean().nullish(),
  legal_accepted_at: z.string().nullish(),
  skip_legal_checks: z.boolean().nullish(),
  skip_user_requirement: z.boolean().nullish(),
  create_organization_enabled: z.boolean().nullish(),
  create_organizations_limit: z.int().nullish(),
  created_at: z.string().nullish(),
  bypass_client_trust: z.boolean().nullish(),
  banned: z.boolean().nullish(),
  locked: z.boolean().nullish(),
});

export type NewUser = z.infer<typeof newUser>;

export const createUserRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/users",
    async handle(instance, { body }) {
      return json(userJson(await createUser(instance, parse(newUser, body))));
    },
  },
];

/** Also what signing up does, with addresses that a click on a mail has proven. */
export async function createUser(
  instance: Instance,
  given: NewUser,
  strategy: EmailAddress["strategy"] = "admin",
): Promise<User> {
  const { settings } = instance;
  const password = await passwordFrom(instance, given);
  checkAttributes(instance, given);
  if (given.banned && !settings.paidPlan) throw planTooSmall("banning users");
  if (given.locked && !settings.lockout) throw lockoutDisabled();
  const emailAddresses = newEmailAddresses(instance, given, strategy);
  const user = assemble(instance, given, password, emailAddresses);
  // Nothing is awaited from here on, so that two requests at once cannot both find an address free.
  checkUnclaimed(instance, user);
  if (instance.store.users.size >= instance.limits.users) throw userQuotaExceeded(instance.limits.users);
  return instance.store.putUser(user);
}

function checkAttributes(instance: Instance, given: NewUser): void {
  const attributes = {
    email_address: given.email_address,
    phone_number: given.phone_number,
    username: given.username,
    first_name: given.first_name,
    last_name: given.last_name,
    password: given.password ?? given.password_digest,
  };
  checkEnabled(instance, attributes, given.password == null ? { password: "password_digest" } : {});
  checkRequired(instance, attributes, {
    password: given.skip_password_requirement === true,
    identifiers: given.skip_user_requirement === true,
    legalConsent: given.skip_legal_checks === true || given.legal_accepted_at != null,
  });
  const { public_metadata, private_metadata, unsafe_metadata } = given;
  checkMetadata(instance, { public_metadata, private_metadata, unsafe_metadata });
}

function newEmailAddresses(
  instance: Instance,
  given: NewUser,
  strategy: EmailAddress["strategy"],
): EmailAddress[] {
  const { email_address: addresses = [], email_address_identification_status: statuses = [] } = given;
  if (statuses.length > 0 && statuses.length !== addresses.length) {
    throw lengthMismatch("email_address_identification_status", "email_address");
  }
  const now = instance.now();
  return addresses.map((address, position) => {
    const normalised = emailAddress(address);
    checkAccess(instance, normalised);
    const status = statuses[position] ?? "verified";
    return { id: newId("idn"), emailAddress: normalised, status, strategy, createdAt: now, updatedAt: now };
  });
}

function newPhoneNumbers(given: NewUser, now: number): PhoneNumber[] {
  const { phone_number: numbers = [], phone_number_identification_status: statuses = [] } = given;
  if (statuses.length > 0 && statuses.length !== numbers.length) {
    throw lengthMismatch("phone_number_identification_status", "phone_number");
  }
  return numbers.map((number, position) => {
    const reserved = statuses[position] === "reserved";
    return { id: newId("idn"), phoneNumber: phoneNumber(number), reserved, createdAt: now, updatedAt: now };
  });
}

function assemble(
  instance: Instance,
  given: NewUser,
  password: Password | null,
  emailAddresses: readonly EmailAddress[],
): User {
  const now = instance.now();
  const time = (parameter: "created_at" | "legal_accepted_at") => {
    const value = given[parameter];
    return value == null ? null : pastTime(value, parameter, now);
  };
  const unproven = emailAddresses.some((address) => address.status === "reserved");
  return {
    id: newId("user"),
    externalId: given.external_id ?? null,
    username: given.username ? username(instance, given.username) : null,
    firstName: given.first_name ?? null,
    lastName: given.last_name ?? null,
    locale: given.locale ?? null,
    emailAddresses,
    primaryEmailAddressId: emailAddresses[0]?.id ?? null,
    phoneNumbers: newPhoneNumbers(given, now),
    password,
    requiresPasswordReset: password !== null && unproven && instance.settings.quarantineReservedPasswords,
    publicMetadata: given.public_metadata,
    privateMetadata: given.private_metadata,
    unsafeMetadata: given.unsafe_metadata,
    banned: given.banned ?? false,
    locked: given.locked ?? false,
    totpEnabled: given.totp_secret != null,
    backupCodeEnabled: (given.backup_codes ?? []).length > 0,
    bypassClientTrust: given.bypass_client_trust ?? false,
    deleteSelfEnabled: given.delete_self_enabled ?? true,
    createOrganizationEnabled: given.create_organization_enabled ?? true,
    createOrganizationsLimit: given.create_organizations_limit ?? null,
    legalAcceptedAt: time("legal_accepted_at"),
    lastSignInAt: null,
    lastActiveAt: null,
    createdAt: time("created_at") ?? now,
    updatedAt: now,
  };
}
