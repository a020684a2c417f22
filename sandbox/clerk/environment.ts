import type { Instance } from "./instance";
import type { Attribute } from "./settings";

/** What Clerk's Frontend API tells every browser about an instance, as far as a migration asks. */
export function environmentJson({ id, environmentType, issuer, settings }: Instance) {
  const { attributes } = settings;
  return {
    auth_config: {
      object: "auth_config",
      first_factors: ["password", ...settings.emailFirstFactors, "ticket"],
      email_address: attributes.email_address.enabled ? "on" : "off",
      single_session_mode: true,
    },
    display_config: {
      object: "display_config",
      id: id.replace(/^ins_/, "display_config_"),
      instance_environment_type: environmentType,
      application_name: "Local Clerk",
      preferred_sign_in_strategy: attributes.password.enabled ? "password" : "otp",
      sign_in_url: `${issuer}/sign-in`,
      sign_up_url: `${issuer}/sign-in`,
    },
    user_settings: {
      attributes: {
        email_address: attributeJson(attributes.email_address, settings.emailFirstFactors, true),
        phone_number: attributeJson(attributes.phone_number, ["phone_code"], true),
        username: attributeJson(attributes.username, []),
        first_name: attributeJson(attributes.first_name, []),
        last_name: attributeJson(attributes.last_name, []),
        password: attributeJson(attributes.password, []),
      },
      sign_up: {
        mode: settings.signUpMode,
        progressive: true,
        legal_consent_enabled: settings.legalConsentRequired,
      },
      username_settings: {
        min_length: settings.usernames.minLength,
        max_length: settings.usernames.maxLength,
        allow_extended_special_characters: settings.usernames.allowsSpecialCharacters,
        allow_numeric_usernames: settings.usernames.allowsNumbersAlone,
      },
      restrictions: {
        allowlist: { enabled: settings.allowlist !== undefined },
        blocklist: { enabled: settings.blocklist.length > 0 },
        block_email_subaddresses: { enabled: settings.blockEmailSubaddresses },
        block_disposable_email_domains: { enabled: settings.blockDisposableEmailDomains },
      },
      password_settings: {
        disable_hibp: false,
        enforce_hibp_on_sign_in: false,
        min_length: 8,
        max_length: 72,
      },
      attack_protection: {
        user_lockout: { enabled: settings.lockout, max_attempts: 10, duration_in_minutes: 60 },
      },
    },
    maintenance_mode: false,
  };
}

function attributeJson(attribute: Attribute, factors: readonly string[], isVerified = false) {
  return {
    enabled: attribute.enabled,
    required: attribute.required,
    used_for_first_factor: attribute.enabled && factors.length > 0,
    first_factors: factors,
    used_for_second_factor: false,
    second_factors: [],
    verifications: isVerified ? factors : [],
    verify_at_sign_up: attribute.enabled && isVerified,
  };
}
