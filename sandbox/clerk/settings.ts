/** One thing a user may have, as it is switched in Clerk's dashboard. */
export interface Attribute {
  readonly enabled: boolean;
  readonly required: boolean;
}

export type AttributeName =
  "email_address" | "phone_number" | "username" | "first_name" | "last_name" | "password";

export type Attributes = Readonly<Record<AttributeName, Attribute>>;

/** What a person would have set in the dashboard. May be changed while the server runs. */
export interface InstanceSettings {
  attributes: Attributes;
  usernames: UsernameRules;
  /** Ways to sign in besides the password. None: nobody can be created without one. */
  emailFirstFactors: readonly ("email_code" | "email_link")[];
  signUpMode: "public" | "restricted" | "waitlist";
  legalConsentRequired: boolean;
  blockEmailSubaddresses: boolean;
  blockDisposableEmailDomains: boolean;
  /** Addresses, or domains as `*@example.com`. undefined: everybody may. */
  allowlist: readonly string[] | undefined;
  blocklist: readonly string[];
  /** Whether the subscription covers banning. */
  paidPlan: boolean;
  /** Whether locking an account after failed attempts is on. */
  lockout: boolean;
  /** A correct password on a new device still needs a code. Clerk's default for new instances; off here, for there are no codes to read. */
  deviceTrust: boolean;
  /** A password carried over for a reserved address must be reset before it signs anyone in. */
  quarantineReservedPasswords: boolean;
  /** Of the pages that may be led to. Empty: none is named. */
  allowedOrigins: readonly string[];
}

/** What a user name may be. */
export interface UsernameRules {
  readonly minLength: number;
  readonly maxLength: number;
  readonly allowsSpecialCharacters: boolean;
  readonly allowsNumbersAlone: boolean;
}

export type InstanceSettingsInput = Partial<Omit<InstanceSettings, "attributes">> & {
  readonly attributes?: Partial<Attributes>;
};

const OPTIONAL: Attribute = { enabled: true, required: false };
const REQUIRED: Attribute = { enabled: true, required: true };
const DISABLED: Attribute = { enabled: false, required: false };

const DEFAULT_ATTRIBUTES: Attributes = {
  email_address: REQUIRED,
  phone_number: DISABLED,
  username: DISABLED,
  first_name: OPTIONAL,
  last_name: OPTIONAL,
  password: REQUIRED,
};

export function instanceSettings({ attributes, ...others }: InstanceSettingsInput = {}): InstanceSettings {
  return {
    attributes: { ...DEFAULT_ATTRIBUTES, ...attributes },
    usernames: { minLength: 4, maxLength: 64, allowsSpecialCharacters: false, allowsNumbersAlone: false },
    emailFirstFactors: ["email_code"],
    signUpMode: "public",
    legalConsentRequired: false,
    blockEmailSubaddresses: false,
    blockDisposableEmailDomains: false,
    allowlist: undefined,
    blocklist: [],
    paidPlan: true,
    lockout: true,
    deviceTrust: false,
    quarantineReservedPasswords: true,
    allowedOrigins: [],
    ...others,
  };
}
