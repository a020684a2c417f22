import { type LocalClerk, startClerk } from "./clerk/server";
import { addEarlierUsers } from "./earlier-users";
import { startPostgres } from "./postgres";
import { loadSample } from "./sample-users";

/** Two systems to migrate between: Postgres with the 44 sample users, and a local Clerk with those it knew before. */
export interface Sandbox {
  readonly databaseUrl: string;
  readonly clerk: LocalClerk;
  /** What the program needs to find both. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startSandbox(): Promise<Sandbox> {
  const postgres = await startPostgres();
  const databaseUrl = await postgres.createDatabase("app");
  await loadSample(databaseUrl);
  const clerk = await startClerk();
  addEarlierUsers(clerk.store);
  return {
    databaseUrl,
    clerk,
    environment: clerkSettings(databaseUrl, clerk),
    async stop() {
      await clerk.stop();
      await postgres.stop();
    },
  };
}

/** The settings that lead to a database and a local Clerk. */
export function clerkSettings(databaseUrl: string, clerk: LocalClerk): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    CLERK_SECRET_KEY: clerk.secretKey,
    CLERK_ISSUER_URL: clerk.issuer,
    CLERK_API_URL: clerk.url,
    // The sample's addresses are example.com's, which nobody can write to.
    MIGRATE_ALLOW_UNDELIVERABLE: "true",
    CLERK_INVITE_REDIRECT_URL: "http://localhost:3000/sign-in",
  };
}
