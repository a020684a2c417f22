import { z } from "zod";

const attribute = z
  .object({ enabled: z.boolean(), required: z.boolean(), used_for_first_factor: z.boolean().optional() })
  .transform(({ enabled, required, used_for_first_factor }) => ({
    isEnabled: enabled,
    isRequired: enabled && required,
    isFirstFactor: enabled && used_for_first_factor === true,
  }));

const toggle = z
  .object({ enabled: z.boolean() })
  .optional()
  .transform((given) => given?.enabled ?? false);

/** What Clerk's Frontend API tells every browser about an instance (`GET /v1/environment`), as far as we ask. */
const environmentSchema = z
  .object({
    user_settings: z.object({
      attributes: z.object({
        email_address: attribute,
        phone_number: attribute,
        username: attribute,
        first_name: attribute,
        last_name: attribute,
        password: attribute,
      }),
      social: z.record(z.string(), z.object({ enabled: z.boolean() })).nullish(),
      sign_up: z.object({ legal_consent_enabled: z.boolean().optional() }),
      username_settings: z
        .object({
          min_length: z.number().nullish(),
          max_length: z.number().nullish(),
          allow_extended_special_characters: z.boolean().nullish(),
          allow_numeric_usernames: z.boolean().nullish(),
        })
        .nullish(),
      restrictions: z.object({
        allowlist: toggle,
        blocklist: toggle,
        block_email_subaddresses: toggle,
        block_disposable_email_domains: toggle,
      }),
    }),
  })
  .transform(({ user_settings: { attributes, social, sign_up, username_settings, restrictions } }) => ({
    attributes: {
      email: attributes.email_address,
      phoneNumber: attributes.phone_number,
      username: attributes.username,
      firstName: attributes.first_name,
      lastName: attributes.last_name,
      password: attributes.password,
    },
    /** Whether people may sign in through somebody else: Google, GitHub. */
    hasSocialSignIn: Object.values(social ?? {}).some(({ enabled }) => enabled),
    /** Clerk's own rules where the instance names none. */
    usernames: {
      minLength: username_settings?.min_length ?? 4,
      maxLength: username_settings?.max_length ?? 64,
      allowsSpecialCharacters: username_settings?.allow_extended_special_characters ?? false,
      allowsNumbersAlone: username_settings?.allow_numeric_usernames ?? false,
    },
    asksLegalConsent: sign_up.legal_consent_enabled ?? false,
    hasAllowlist: restrictions.allowlist,
    hasBlocklist: restrictions.blocklist,
    blocksSubaddresses: restrictions.block_email_subaddresses,
    blocksDisposable: restrictions.block_disposable_email_domains,
  }));

/** How the instance is set in Clerk's dashboard. */
export type InstanceEnvironment = z.infer<typeof environmentSchema>;

const TIMEOUT_MS = 10_000;

/** Asks the issuer; null where it does not say, or says it in another form than is known here. */
export async function readEnvironment(issuerUrl: string): Promise<InstanceEnvironment | null> {
  try {
    const response = await fetch(new URL("/v1/environment", issuerUrl), {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return environmentSchema.safeParse(await response.json()).data ?? null;
  } catch {
    return null;
  }
}
