import { makePlan, type Plan, type World } from "../providers/plan";
import { ensureLedger, readLedger } from "../providers/postgres/ledger";
import { readUsers } from "../providers/postgres/legacy-users";
import { parseSettings, type Settings } from "../providers/settings";
import { openSystems, type Systems } from "../providers/systems";
import { type ClerkOptions, type Exchange, type LocalClerk, startClerk } from "../sandbox/clerk/server";
import { addEarlierUsers } from "../sandbox/earlier-users";
import { connected } from "../sandbox/postgres";
import { loadSample, type SampleUser, sampleUsers } from "../sandbox/sample-users";
import { clerkContract } from "./clerk-contract";
import { testDatabase } from "./database";

export const project = "clerk-migration";
export const stackName = `${project}/test`;

/** Both systems with the sample in them and a ledger made, as a provider process sees them. */
export interface TestSystems {
  readonly systems: Systems;
  readonly clerk: LocalClerk;
  readonly databaseUrl: string;
  readonly warnings: string[];
  /** The same as another provider process would open them. */
  reopen(settings?: Readonly<Record<string, string>>): Systems;
  query<T extends Record<string, unknown>>(sql: string, values?: unknown[]): Promise<T[]>;
  plan(settings?: Partial<Settings>): Promise<Plan>;
  /** Also answers what Clerk's reference has against any exchange. */
  stop(): Promise<string[]>;
}

export async function openTestSystems(options: ClerkOptions = {}): Promise<TestSystems> {
  const database = await testDatabase();
  await loadSample(database.url);
  const exchanges: Exchange[] = [];
  const clerk = await startClerk({
    enforceLimits: false,
    onExchange: (exchange) => exchanges.push(exchange),
    ...options,
  });
  addEarlierUsers(clerk.store);
  const warnings: string[] = [];
  const opened: Systems[] = [];

  const settingsOf = (values: Readonly<Record<string, string>> = {}): Settings =>
    parseSettings(
      {
        DATABASE_URL: database.url,
        CLERK_SECRET_KEY: clerk.secretKey,
        CLERK_API_URL: clerk.url,
        CLERK_ISSUER_URL: clerk.issuer,
        ROLLBACK: values.ROLLBACK,
        ROLLBACK_SIGNED_IN: values.ROLLBACK_SIGNED_IN,
      },
      { values: { clerkRequestsPer10s: "100000", allowProduction: "true" }, isSecret: () => true },
    );
  const reopen = (values?: Readonly<Record<string, string>>) => {
    const systems = openSystems(settingsOf(values), (sentence) => warnings.push(sentence));
    opened.push(systems);
    return systems;
  };
  const systems = reopen();
  await ensureLedger(systems.database);

  return {
    systems,
    clerk,
    databaseUrl: database.url,
    warnings,
    reopen,
    query: <T extends Record<string, unknown>>(sql: string, values?: unknown[]) =>
      connected(database.url, async (client) => (await client.query<T>(sql, values)).rows),
    async plan(settings) {
      const world: World = {
        rows: await readUsers(systems.database),
        ledger: await readLedger(systems.database, stackName),
        project,
        stack: stackName,
        clerkInstanceId: clerk.instanceId,
        decisions: new Map(),
      };
      return makePlan(world, { ...settingsOf(), ...settings });
    },
    async stop() {
      await Promise.all(opened.map(async (one) => one.close()));
      await clerk.stop();
      await database.drop();
      const contract = await clerkContract();
      return exchanges.flatMap((exchange) => contract?.check(exchange) ?? []);
    },
  };
}

/** The legacy users of the sample, and what is declared of each. */
export const legacyUsers: readonly SampleUser[] = sampleUsers.filter((user) => user.clerkUserId === null);

export function legacyUser(index = 0): SampleUser {
  const user = legacyUsers[index];
  if (user === undefined) throw new Error("the sample has fewer legacy users");
  return user;
}

export async function declared(test: TestSystems, userId: string, settings?: Partial<Settings>) {
  const planned = (await test.plan(settings)).find((user) => user.userId === userId);
  if (planned?.declared == null)
    throw new Error(`user ${userId} is not declared: ${planned?.reason ?? "no row"}`);
  return planned.declared;
}
