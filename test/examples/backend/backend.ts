import { z } from "zod";

import { openServer } from "../../../examples/backend/server";
import { parseSettings } from "../../../examples/backend/settings";
import { openSystems, type Systems } from "../../../examples/backend/systems";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import type { Session, User } from "../../../sandbox/clerk/records";
import type { ClerkOptions, Exchange } from "../../../sandbox/clerk/server";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { type Delivery, newSigningSecret, signed, type WebhookEvent } from "../../../sandbox/clerk/webhooks";
import type { SampleUser } from "../../../sandbox/sample-users";
import { clerkSettings } from "../../../sandbox/sandbox";
import { contractProblems } from "../../clerk-contract";
import { openTestSystems, type TestSystems } from "../../systems";
import { startMain } from "./main-process";

type Variables = Readonly<Record<string, string>>;

/** How somebody shows who they are. */
export interface Credentials {
  /** A Clerk session token, as a bearer. */
  readonly token?: string;
  /** The whole Cookie header. */
  readonly cookie?: string;
}

/** Of the application's front end. */
export const ORIGIN = "https://app.example.com";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
  /** What was set, ready to be sent back. */
  readonly cookie: string;
}

/** The example over HTTP, between the sample's database and a local Clerk, after the migration's first `up`. */
export interface TestBackend {
  readonly on: TestSystems;
  /** The example's own. */
  readonly systems: Systems;
  readonly secret: string;
  readonly url: string;
  /** Every line of its log. */
  readonly log: readonly string[];
  /** The digests that passwords were compared with; none where it is a process of its own. */
  readonly compared: readonly string[];
  ask(path: string, init: RequestInit, credentials?: Credentials): Promise<Answer>;
  get(path: string, credentials?: Credentials): Promise<Answer>;
  post(path: string, body: unknown, credentials?: Credentials): Promise<Answer>;
  logIn(user: SampleUser, password?: string): Promise<Answer>;
  /** As one `up` does for one user. */
  migrate(user: SampleUser, passwords?: "carry" | "reset"): Promise<User>;
  /** Signs in to Clerk with the old password; the token has not met the backend yet. */
  signInToClerk(user: SampleUser): Promise<string>;
  session(user: User): Session;
  deliver(delivery: Delivery): Promise<Answer>;
  send(event: WebhookEvent): Promise<Answer>;
  /** Ends it, and starts it anew with other settings. */
  restart(variables: Variables): Promise<void>;
  /** Also answers what Clerk's own reference has against any request. */
  close(): Promise<string[]>;
}

export interface BackendOptions extends ClerkOptions {
  /** main: a process, started as the README says. server: within the test, so that it sees what passwords are compared with. */
  readonly as?: "main" | "server";
}

interface Running {
  readonly url: string;
  readonly systems: Systems;
  stop(): Promise<void>;
}

const TESTING: Variables = {
  POLL_SECONDS: "0",
  LOGIN_TRIES_PER_ADDRESS: "1000",
  LOGIN_TRIES_PER_IP: "1000",
  CLERK_AUTHORIZED_PARTIES: ORIGIN,
};

export async function openBackend(
  variables: Variables = {},
  { as = "server", ...options }: BackendOptions = {},
): Promise<TestBackend> {
  const exchanges: Exchange[] = [];
  const on = await openTestSystems({ onExchange: (exchange) => exchanges.push(exchange), ...options });
  const secret = newSigningSecret();
  const log: string[] = [];
  const compared: string[] = [];
  let running = await start(variables);

  async function start(changes: Variables): Promise<Running> {
    const environment = {
      ...clerkSettings(on.database.url, on.clerk),
      CLERK_INSTANCE_ID: on.clerk.instanceId,
      CLERK_WEBHOOK_SIGNING_SECRET: secret,
      ...TESTING,
      ...changes,
    };
    const opened = openSystems(parseSettings(environment));
    if (as === "main") {
      const main = await startMain(environment, log);
      return { url: main.url, systems: opened, stop: () => main.stop() };
    }
    const systems: Systems = {
      ...opened,
      comparePassword: (password, digest) => {
        compared.push(digest);
        return opened.comparePassword(password, digest);
      },
    };
    const app = await openServer(systems, { write: (line) => log.push(line) });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    return { url, systems, stop: () => app.close() };
  }

  async function stop(): Promise<void> {
    await running.stop();
    await running.systems.database.end();
  }

  async function ask(path: string, init: RequestInit, { token, cookie }: Credentials = {}): Promise<Answer> {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    if (cookie !== undefined) headers.set("cookie", cookie);
    const response = await fetch(`${running.url}${path}`, { ...init, headers });
    const text = await response.text();
    return {
      status: response.status,
      body: text === "" ? undefined : z.unknown().parse(JSON.parse(text)),
      headers: response.headers,
      cookie: response.headers
        .getSetCookie()
        .map((line) => line.split(";")[0])
        .join("; "),
    };
  }

  const post: TestBackend["post"] = (path, body, credentials) =>
    ask(
      path,
      { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) },
      credentials,
    );
  const deliver: TestBackend["deliver"] = ({ headers, body }) =>
    ask("/webhooks/clerk", { method: "POST", headers, body });

  return {
    on,
    get systems() {
      return running.systems;
    },
    secret,
    get url() {
      return running.url;
    },
    ask,
    log,
    compared,
    get: (path, credentials) => ask(path, {}, credentials),
    post,
    logIn: ({ email, password }, other) => post("/login", { email, password: other ?? password }),
    async migrate({ userId }, passwords = "carry") {
      const { clerkUserId } = await ensureUser(on.systems, await on.declared(userId, { passwords }));
      const user = on.clerk.store.users.get(clerkUserId);
      if (user === undefined) throw new Error("The migrated user is not in Clerk.");
      return user;
    },
    async signInToClerk({ email, password }) {
      const outcome = await signIn(on.clerk.issuer, { identifier: email, password }, ORIGIN);
      if (outcome.status !== "complete") throw new Error(`Clerk did not let the user in: ${outcome.status}`);
      return outcome.token;
    },
    session(user) {
      const session = [...on.clerk.store.sessions.values()].find((one) => one.userId === user.id);
      if (session === undefined) throw new Error("The user has no session in Clerk.");
      return session;
    },
    deliver,
    send: (event) => deliver(signed(on.clerk, secret, event)),
    async restart(changes) {
      await stop();
      running = await start(changes);
    },
    async close() {
      await stop();
      await on.close();
      return contractProblems(exchanges);
    },
  };
}
