import { z } from "zod";

import { addressOrDomain } from "./clerk-user/inputs";
import { MigrationError } from "./errors";
import { mailProblems, mailShape, paceShape } from "./mail/settings";
import { tableShape, withTable } from "./postgres/table-settings";
import { parseSealKey } from "./retired-password/seal";
import { choice, count, flag, isEncryptedOrLocal, isWebAddress, list } from "./setting-kinds";

/** The settings that may come from the environment, which then wins over stack config. */
const environmentNames: Readonly<Record<string, string>> = {
  databaseUrl: "DATABASE_URL",
  clerkSecretKey: "CLERK_SECRET_KEY",
  clerkIssuerUrl: "CLERK_ISSUER_URL",
  clerkInviteRedirectUrl: "CLERK_INVITE_REDIRECT_URL",
  clerkApiUrl: "CLERK_API_URL",
  email: "MIGRATE_EMAIL",
  heldOnly: "MIGRATE_HELD_ONLY",
  takeOver: "MIGRATE_TAKE_OVER",
  allowUndeliverable: "MIGRATE_ALLOW_UNDELIVERABLE",
  rollback: "ROLLBACK",
  rollbackSignedIn: "ROLLBACK_SIGNED_IN",
  smtpUrl: "SMTP_URL",
  mailFrom: "MAIL_FROM",
  mailReplyTo: "MAIL_REPLY_TO",
  mailTemplates: "MAIL_TEMPLATES",
  appName: "APP_NAME",
  digestSealKey: "DIGEST_SEAL_KEY",
};

/** These never stand in stack config as plain text. */
const secrets = ["databaseUrl", "clerkSecretKey", "smtpUrl"];

/**
 * Of one run, never of the stack. `destroy` sees the config that the last `up` stored, so what decides a rollback
 * has to come from the environment.
 */
const onlyEnvironment = ["heldOnly", "rollback", "rollbackSignedIn", "digestSealKey"];

/** As takeOver: several stacks share the table, and each keeps whom it holds. */
export const NOBODY = "nobody";

const setIt = (variable: string, key: string, secret = "") =>
  `Set ${variable} in the environment or in .env, or run \`pulumi config set ${secret}${key} …\`.`;

const postgresUrl = z
  .string(
    `DATABASE_URL is not set: it says which Postgres holds the users table, e.g. postgres://user:password@host:5432/app. ${setIt("DATABASE_URL", "databaseUrl", "--secret ")}`,
  )
  .refine(
    (url) => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url),
    "DATABASE_URL is not a Postgres connection URL: it should look like postgres://user:password@host:5432/app. Percent-encode special characters in the password.",
  );

const secretKey = z
  .string(
    `CLERK_SECRET_KEY is not set: it is the key of the Clerk instance that the users move to (dashboard, API keys). ${setIt("CLERK_SECRET_KEY", "clerkSecretKey", "--secret ")}`,
  )
  .regex(
    /^sk_(test|live)_\S+$/,
    "CLERK_SECRET_KEY is not a Clerk secret key: it should start with sk_test_ or sk_live_. Copy the secret key, not the publishable one, from the dashboard, API keys.",
  );

const issuerUrl = z
  .string(
    `CLERK_ISSUER_URL is not set: it is the Frontend API of the same Clerk instance, e.g. https://clerk.example.com (dashboard, API keys). ${setIt("CLERK_ISSUER_URL", "clerkIssuerUrl")}`,
  )
  .refine(
    isWebAddress,
    "CLERK_ISSUER_URL is not a web address: it should look like https://clerk.example.com.",
  );

/** What a provider needs to reach the two systems, for any operation, and how it may roll back. */
const connectionShape = {
  databaseUrl: postgresUrl,
  clerkSecretKey: secretKey,
  clerkApiUrl: z
    .string()
    .refine(
      isEncryptedOrLocal,
      "CLERK_API_URL has to be an https address (http only for localhost). Leave it out for Clerk's own, https://api.clerk.com.",
    )
    .default("https://api.clerk.com"),
  clerkRequestsPer10s: count("clerkRequestsPer10s").default(0),
  allowProduction: flag("allowProduction").default(false),
  rollback: choice("ROLLBACK", ["delete", "unlink"]).default("delete"),
  rollbackSignedIn: choice("ROLLBACK_SIGNED_IN", ["refuse", "unlink", "delete"]).default("refuse"),
  legalConsent: choice("legalConsent", ["require", "skip"]).default("require"),
  bypassDeviceTrust: flag("bypassDeviceTrust").default(false),
  /** Seals digests that are retired, and opens them: 32 bytes in base64. */
  digestSealKey: z.string().optional(),
  decisions: z.string().default("decisions.yaml"),
  ...mailShape,
  ...tableShape,
};

const settingsShape = {
  ...connectionShape,
  clerkIssuerUrl: issuerUrl,
  clerkInviteRedirectUrl: z
    .string()
    .refine(
      isEncryptedOrLocal,
      "CLERK_INVITE_REDIRECT_URL has to be an https address (http only for localhost): it is where mails lead to. Correct it, or leave it out for Clerk's Account Portal.",
    )
    .optional(),
  email: z.string().optional(),
  emails: list,
  domains: list.transform((domains) => domains.map(addressOrDomain)),
  exclude: list,
  where: z.string().default(""),
  limit: count("limit").default(0),
  percent: z
    .string()
    .regex(/^(100|\d{1,2})(\.\d+)?$/, "percent has to be a number from 0 to 100. Correct it.")
    .default("100")
    .transform(Number),
  existing: choice("existing", ["refuse", "adopt"]).default("refuse"),
  unverified: choice("unverified", ["reserve", "verify", "block"]).default("reserve"),
  strict: flag("strict").default(false),
  clerkUserLimit: count("clerkUserLimit").default(0),
  allowUndeliverable: flag("allowUndeliverable").default(false),
  passwords: choice("passwords", ["carry", "reset"]).default("carry"),
  notify: choice("notify", ["invitation", "sign-in-link", "announcement", "none"]).default("invitation"),
  notifyOnly: list,
  ...paceShape,
  retirePasswords: choice("retirePasswords", ["off", "arrived"]).default("off"),
  retireAfterDays: count("retireAfterDays").default(7),
  purgeAfterDays: count("purgeAfterDays").default(30),
  rehearseOnProduction: flag("rehearseOnProduction").default(false),
  reveal: flag("reveal").default(false),
  allowRemovals: count("allowRemovals").default(0),
  takeOver: z
    .string()
    .refine(
      (text) => text === NOBODY || /^[^/\s]+\/[^/\s]+$/.test(text),
      `takeOver has to be the former name of this stack, <project>/<stack>, or ${NOBODY}. Correct it.`,
    )
    .optional(),
  /** Takes on nobody new and tells nobody: what `npm run destroy` runs first. */
  heldOnly: flag("MIGRATE_HELD_ONLY").default(false),
};

const connectionSchema = z
  .object(connectionShape)
  .superRefine(refuseProductionByAccident)
  .transform(withTable);
const settingsSchema = z
  .object(settingsShape)
  .superRefine(refuseProductionByAccident)
  .superRefine((settings, context) => {
    for (const message of [...mailProblems(settings), ...sealKeyProblems(settings)])
      context.addIssue({ code: "custom", message });
  })
  .transform(withTable);

/** Found before anything is retired that could not be opened again. */
function sealKeyProblems(settings: {
  retirePasswords: string;
  digestSealKey?: string | undefined;
}): string[] {
  if (settings.retirePasswords === "off") return [];
  try {
    parseSealKey(settings.digestSealKey);
    return [];
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    return [`retirePasswords is ${settings.retirePasswords}. ${error.message}`];
  }
}

export type ConnectionSettings = z.infer<typeof connectionSchema>;
export type Settings = z.infer<typeof settingsSchema>;

/** The names that stack config may hold, for the test that keeps `Pulumi.yaml` in agreement. */
export const configKeys: readonly string[] = Object.keys(settingsShape).filter(
  (key) => !onlyEnvironment.includes(key),
);

export type Environment = Readonly<Record<string, string | undefined>>;

/** The values of the project's own keys, without its name: strings, as Pulumi hands them over. */
export type ConfigValues = Readonly<Record<string, string | undefined>>;

export interface StackConfig {
  readonly values: ConfigValues;
  readonly isSecret: (key: string) => boolean;
}

/** Environment and stack config as settings. Throws one error that lists every problem with its remedy. */
export function parseSettings(environment: Environment, config: StackConfig): Settings {
  const problems = [...unknownKeys(config), ...plainSecrets(config)];
  return parse(settingsSchema, Object.keys(settingsShape), environment, config.values, problems);
}

/** The part that the providers need, which see the stored config. Unknown keys are the program's to report. */
export function parseConnection(
  environment: Environment,
  stored: (key: string) => string | undefined,
): ConnectionSettings {
  const keys = Object.keys(connectionShape);
  const values = Object.fromEntries(keys.map((key) => [key, stored(key)]));
  return parse(connectionSchema, keys, environment, values, []);
}

/** Reads `.env`, or the file that DOTENV_CONFIG_PATH names, into the environment. What is set already wins. */
export function loadDotEnv(): void {
  try {
    process.loadEnvFile(process.env.DOTENV_CONFIG_PATH ?? ".env");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

function parse<T>(
  schema: z.ZodType<T>,
  keys: readonly string[],
  environment: Environment,
  config: ConfigValues,
  problems: readonly string[],
): T {
  const raw = Object.fromEntries(keys.map((key) => [key, valueOf(key, environment, config)]));
  const result = schema.safeParse(raw);
  const all = [...problems, ...(result.error?.issues.map((issue) => issue.message) ?? [])];
  if (result.success && all.length === 0) return result.data;
  throw new MigrationError(
    "settings",
    all.length === 1
      ? "One setting needs your attention:"
      : `${all.length.toString()} settings need your attention:`,
    `\n${all.map((problem) => `  - ${problem}`).join("\n")}`,
  );
}

/** Empty means unset: schema defaults in `Pulumi.yaml` and CI variables without a value arrive as empty strings. */
function valueOf(key: string, environment: Environment, config: ConfigValues): string | undefined {
  const variable = environmentNames[key];
  const fromEnvironment = variable === undefined ? undefined : environment[variable]?.trim();
  if (fromEnvironment) return fromEnvironment;
  const fromConfig = onlyEnvironment.includes(key) ? undefined : config[key]?.trim();
  return fromConfig === "" ? undefined : fromConfig;
}

function unknownKeys(config: StackConfig): string[] {
  return Object.keys(config.values)
    .filter((key) => !configKeys.includes(key))
    .map(
      (key) =>
        `${key} is not a setting of this program. Remove it with \`pulumi config rm ${key}\`; Pulumi.yaml lists those that are.`,
    );
}

function plainSecrets(config: StackConfig): string[] {
  return secrets
    .filter((key) => Boolean(config.values[key]) && !config.isSecret(key))
    .map(
      (key) =>
        `${key} stands unencrypted in the stack's config. Set it again with \`pulumi config set --secret ${key} …\`, and replace what has been committed.`,
    );
}

function refuseProductionByAccident(
  settings: { clerkSecretKey: string; allowProduction: boolean },
  context: z.RefinementCtx,
): void {
  if (!settings.clerkSecretKey.startsWith("sk_live_") || settings.allowProduction) return;
  context.addIssue({
    code: "custom",
    message:
      "CLERK_SECRET_KEY is a live key, but this stack does not say that it is meant for production. Run `pulumi config set allowProduction true` on the stack that is, or use a test key.",
  });
}
