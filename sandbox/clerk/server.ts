import { createFaults, type Faults } from "./faults";
import { listen } from "./http";
import { base62, newId } from "./ids";
import type { Instance } from "./instance";
import { createRateLimiter, LIMITS, type Limits } from "./limits";
import { type Api, type Exchange, respond } from "./respond";
import { createRouter } from "./router";
import { backendRoutes } from "./routes/backend";
import { frontendRoutes } from "./routes/frontend";
import { isSandboxRequest, respondAsSandbox } from "./sandbox";
import { createSessionSigner } from "./session-tokens";
import { type InstanceSettings, instanceSettings, type InstanceSettingsInput } from "./settings";
import { createStore, type Store } from "./store";

export type { Fault, Faults } from "./faults";
export type { Limits } from "./limits";
export type { Invitation, LoggedRequest, Mail, Session, SignInToken, User } from "./records";
export type { Exchange } from "./respond";
export type { InstanceSettings, InstanceSettingsInput } from "./settings";
export type { Store } from "./store";

export interface ClerkOptions {
  /** Of the Backend API. @default any free one */
  readonly port?: number;
  /** Of the Frontend API. @default the next one after `port`, or any free one */
  readonly issuerPort?: number;
  /** `sk_live_…` makes it a production instance, with production's limits. @default a random `sk_test_…` */
  readonly secretKey?: string;
  readonly instanceId?: string;
  readonly settings?: InstanceSettingsInput;
  /** The time for everything here, in milliseconds. @default the real one */
  readonly now?: () => number;
  readonly limits?: Partial<Limits>;
  /** false: no 429 of its own. How many users and mails there may be stays as it is. @default true */
  readonly enforceLimits?: boolean;
  /** Sees every exchange of the Backend API. */
  readonly onExchange?: (exchange: Exchange) => void;
}

export interface LocalClerk {
  /** For CLERK_API_URL: without /v1. */
  readonly url: string;
  /** For CLERK_ISSUER_URL: the Frontend API. */
  readonly issuer: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly instanceId: string;
  /** For CLERK_JWT_KEY: the public key of session tokens, as PEM. */
  jwtKey(): string;
  readonly store: Store;
  readonly faults: Faults;
  /** May be changed while it runs. */
  readonly settings: InstanceSettings;
  stop(): Promise<void>;
}

/** A Clerk instance on the loopback interface, empty at first, gone when it stops. */
export async function startClerk(options: ClerkOptions = {}): Promise<LocalClerk> {
  const stopping = new AbortController();
  const faults = createFaults();
  const now = options.now ?? Date.now;
  const secretKey = options.secretKey ?? `sk_test_${base62(42)}`;
  const environmentType = secretKey.startsWith("sk_live_") ? "production" : "development";
  const limits: Limits = { ...LIMITS[environmentType], ...options.limits };
  const instanceId = options.instanceId ?? newId("ins");
  const settings = instanceSettings(options.settings);
  const store = createStore();
  const signer = createSessionSigner(instanceId);
  const { port = 0, issuerPort = port === 0 ? 0 : port + 1 } = options;

  const backend = await listen(port, async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (isSandboxRequest(pathname)) await respondAsSandbox(instance, faults, request, response);
    else await respond(backendApi, request, response);
  });
  const frontend = await listen(issuerPort, (request, response) =>
    respond(frontendApi, request, response),
  ).catch(async (error: unknown) => {
    await backend.stop();
    throw error;
  });

  const instance: Instance = {
    id: instanceId,
    environmentType,
    secretKey,
    publishableKey: publishableKey(environmentType, frontend.origin),
    url: backend.origin,
    issuer: frontend.origin,
    settings,
    limits,
    store,
    signer,
    now,
  };
  const common = { instance, faults, stopping: stopping.signal };
  const backendApi: Api = {
    ...common,
    router: createRouter(backendRoutes),
    limiter: options.enforceLimits === false ? undefined : createRateLimiter(limits, now),
    prefix: "/v1",
    needsKey: true,
    onExchange: options.onExchange,
  };
  const frontendApi: Api = {
    ...common,
    router: createRouter(frontendRoutes),
    limiter: undefined,
    prefix: "",
    needsKey: false,
    onExchange: undefined,
  };

  return {
    url: instance.url,
    issuer: instance.issuer,
    secretKey,
    publishableKey: instance.publishableKey,
    instanceId,
    jwtKey: () => signer.publicKeyPem(),
    store,
    faults,
    settings,
    async stop() {
      stopping.abort();
      await Promise.all([backend.stop(), frontend.stop()]);
    },
  };
}

/** Clerk's own form: where the Frontend API is, in base64, ending in `$`. */
function publishableKey(environmentType: Instance["environmentType"], issuer: string): string {
  const prefix = environmentType === "production" ? "pk_live_" : "pk_test_";
  return prefix + Buffer.from(`${new URL(issuer).host}$`).toString("base64");
}
