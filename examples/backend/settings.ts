import { z } from "zod";

/** until-arrived: for whoever has not signed in with Clerk yet. on: for everybody. off: for nobody. */
export type LegacyLogin = "until-arrived" | "on" | "off";

/** This machine, where nobody listens in between. */
const isLoopback = (host: string) => /^(localhost|.+\.localhost|127(\.\d+){3}|\[?::1\]?)$/.test(host);

const isWebAddress = (text: string) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);

const isPrivate = (text: string) => {
  if (!URL.canParse(text)) return true;
  const { protocol, hostname } = new URL(text);
  return protocol !== "http:" || isLoopback(hostname);
};

const webAddress = (name: string) =>
  z
    .string(`${name} is not set.`)
    .refine(isWebAddress, `${name} is not a web address.`)
    .refine(isPrivate, `${name} has to begin with https://; http:// is for this machine alone.`)
    .transform((text) => text.replace(/\/+$/, ""));

const isEncrypted = (text: string) => {
  if (!URL.canParse(text)) return true;
  const { hostname, searchParams } = new URL(text);
  const host = searchParams.get("host") ?? hostname;
  return host === "" || host.startsWith("/") || isLoopback(host) || searchParams.has("sslmode");
};

const origins = (name: string) =>
  z
    .string(`${name} is not set: it takes the origins of your front ends, with commas.`)
    .transform((text) => text.split(",").map((origin) => origin.trim()))
    .refine(
      (given) => given.every((origin) => isWebAddress(origin) && new URL(origin).origin === origin),
      `${name} takes origins, such as https://app.example.com, with commas.`,
    )
    .refine(
      (given) => given.every(isPrivate),
      `Every origin in ${name} has to begin with https://; http:// is for this machine alone.`,
    );

const switched = (name: string) =>
  z.enum(["on", "off"], `${name} has to be on or off.`).transform((text) => text === "on");

const count = (name: string, least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `${name} has to be a whole number.`)
    .transform(Number)
    .refine(
      (value) => value >= least && value <= most,
      `${name} has to be between ${least.toString()} and ${most.toString()}.`,
    );

const shape = {
  DATABASE_URL: z
    .string("DATABASE_URL is not set.")
    .refine(
      isEncrypted,
      "DATABASE_URL leads to another machine: add ?sslmode=verify-full, or ?sslmode=disable where the network is yours.",
    ),
  CLERK_SECRET_KEY: z
    .string("CLERK_SECRET_KEY is not set.")
    .regex(/^sk_(test|live)_\S+$/, "CLERK_SECRET_KEY is not a Clerk secret key: it starts with sk_."),
  CLERK_ISSUER_URL: webAddress("CLERK_ISSUER_URL"),
  CLERK_API_URL: webAddress("CLERK_API_URL").default("https://api.clerk.com"),
  CLERK_WEBHOOK_SIGNING_SECRET: z
    .string()
    .startsWith("whsec_", "CLERK_WEBHOOK_SIGNING_SECRET starts with whsec_.")
    .optional(),
  CLERK_INSTANCE_ID: z.string().startsWith("ins_", "CLERK_INSTANCE_ID starts with ins_.").optional(),
  CLERK_AUTHORIZED_PARTIES: origins("CLERK_AUTHORIZED_PARTIES"),
  LEGACY_LOGIN: z
    .enum(["until-arrived", "on", "off"], "LEGACY_LOGIN has to be until-arrived, on or off.")
    .default("until-arrived"),
  TRICKLE: switched("TRICKLE").default(false),
  BCRYPT_COST: count("BCRYPT_COST", 4, 15).default(10),
  LOGIN_TRIES_PER_ADDRESS: count("LOGIN_TRIES_PER_ADDRESS", 1, 1_000_000).default(10),
  LOGIN_TRIES_PER_IP: count("LOGIN_TRIES_PER_IP", 1, 1_000_000).default(50),
  SESSION_HOURS: count("SESSION_HOURS", 1, 24 * 365).default(24 * 7),
  POLL_SECONDS: count("POLL_SECONDS", 0, 86_400).default(60),
  SECURE_COOKIES: switched("SECURE_COOKIES").default(true),
  TRUST_PROXY: z.string().optional(),
  HOST: z.string().default("127.0.0.1"),
  PORT: count("PORT", 0, 65_535).default(3001),
};

const whole = z
  .object(shape)
  .refine(
    ({ SECURE_COOKIES, HOST }) => SECURE_COOKIES || isLoopback(HOST),
    "SECURE_COOKIES=off is for this machine alone, and HOST lets others in.",
  );

const settingsSchema = whole.transform((given) => ({
  databaseUrl: given.DATABASE_URL,
  clerkSecretKey: given.CLERK_SECRET_KEY,
  /** The Frontend API: the `iss` of every session token. */
  clerkIssuerUrl: given.CLERK_ISSUER_URL,
  clerkApiUrl: given.CLERK_API_URL,
  /** Without it there are no webhooks, and arrivals come from tokens and the poll alone. */
  webhookSigningSecret: given.CLERK_WEBHOOK_SIGNING_SECRET,
  /** Webhooks of any other instance are refused. */
  clerkInstanceId: given.CLERK_INSTANCE_ID,
  /** Origins of the front ends: whose session tokens are taken, and from where browsers may send anything. */
  authorizedParties: given.CLERK_AUTHORIZED_PARTIES,
  legacyLogin: given.LEGACY_LOGIN satisfies LegacyLogin,
  trickle: given.TRICKLE,
  /** Of the digests in `users`, so that nobody's login costs less than anybody else's. */
  bcryptCost: given.BCRYPT_COST,
  loginTriesPerAddress: given.LOGIN_TRIES_PER_ADDRESS,
  loginTriesPerIp: given.LOGIN_TRIES_PER_IP,
  sessionHours: given.SESSION_HOURS,
  /** 0: no poll. */
  pollSeconds: given.POLL_SECONDS,
  secureCookies: given.SECURE_COOKIES,
  /** Addresses of proxies whose X-Forwarded-For is believed, as Fastify's `trustProxy` takes them. */
  trustProxy: given.TRUST_PROXY,
  host: given.HOST,
  port: given.PORT,
}));

export type Settings = z.infer<typeof settingsSchema>;

/** The names of the environment, for the test that keeps the README in agreement. */
export const variables: readonly string[] = Object.keys(shape);

/** Throws one error that lists every problem. An empty variable is an unset one. */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const given = variables.map((name) => [name, environment[name]?.trim() || undefined] as const);
  const parsed = settingsSchema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  - ${issue.message}`);
  throw new Error(`The settings need your attention:\n${problems.join("\n")}`);
}
