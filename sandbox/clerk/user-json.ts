import type { EmailAddress, PhoneNumber, User } from "./records";

/** How long a locked account stays locked, in seconds, and how many wrong passwords lock it: Clerk's defaults. */
const LOCKOUT_SECONDS = 3600;
const LOCKOUT_ATTEMPTS = 10;

/**
 * A user as Clerk's Backend API shows it; the digest is never in it. `requires_password_reset` is shown only where it
 * is true: Clerk's reference mentions it, its schema does not have it.
 */
export function userJson(user: User) {
  return {
    id: user.id,
    object: "user",
    username: user.username,
    first_name: user.firstName,
    last_name: user.lastName,
    locale: user.locale,
    image_url: `https://img.example.com/${user.id}`,
    has_image: false,
    primary_email_address_id: user.primaryEmailAddressId,
    primary_phone_number_id: user.phoneNumbers[0]?.id ?? null,
    primary_web3_wallet_id: null,
    password_enabled: user.password !== null,
    password_last_updated_at: user.password?.updatedAt ?? null,
    ...(user.requiresPasswordReset && { requires_password_reset: true }),
    two_factor_enabled: user.totpEnabled,
    totp_enabled: user.totpEnabled,
    backup_code_enabled: user.backupCodeEnabled,
    email_addresses: user.emailAddresses.map(emailAddressJson),
    phone_numbers: user.phoneNumbers.map(phoneNumberJson),
    web3_wallets: [],
    passkeys: [],
    external_accounts: [],
    saml_accounts: [],
    enterprise_accounts: [],
    public_metadata: user.publicMetadata,
    private_metadata: user.privateMetadata,
    unsafe_metadata: user.unsafeMetadata,
    external_id: user.externalId,
    last_sign_in_at: user.lastSignInAt,
    banned: user.banned,
    locked: user.locked,
    deprovisioned: false,
    lockout_expires_in_seconds: user.locked ? LOCKOUT_SECONDS : null,
    verification_attempts_remaining: LOCKOUT_ATTEMPTS,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
    delete_self_enabled: user.deleteSelfEnabled,
    create_organization_enabled: user.createOrganizationEnabled,
    create_organizations_limit: user.createOrganizationsLimit,
    last_active_at: user.lastActiveAt,
    mfa_enabled_at: null,
    mfa_disabled_at: null,
    legal_accepted_at: user.legalAcceptedAt,
    bypass_client_trust: user.bypassClientTrust,
  };
}

/** Without `linked_to` the SDK cannot read an address. */
export function emailAddressJson(address: EmailAddress) {
  return {
    id: address.id,
    object: "email_address",
    email_address: address.emailAddress,
    reserved: address.status === "reserved",
    verification: address.status === "verified" ? verification(address.strategy) : null,
    linked_to: [],
    matches_sso_connection: false,
    created_at: address.createdAt,
    updated_at: address.updatedAt,
  };
}

function phoneNumberJson(phone: PhoneNumber) {
  return {
    id: phone.id,
    object: "phone_number",
    phone_number: phone.phoneNumber,
    reserved_for_second_factor: false,
    default_second_factor: false,
    reserved: phone.reserved,
    verification: phone.reserved ? null : verification("admin"),
    linked_to: [],
    backup_codes: null,
    created_at: phone.createdAt,
    updated_at: phone.updatedAt,
  };
}

function verification(strategy: EmailAddress["strategy"]) {
  return {
    object: `verification_${strategy}`,
    status: "verified",
    strategy,
    attempts: null,
    expire_at: null,
  };
}

export function deletedJson(object: string, id: string, externalId: string | null = null) {
  return { object, id, deleted: true, ...(externalId !== null && { external_id: externalId }) };
}
