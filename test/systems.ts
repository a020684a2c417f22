import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ClerkUserInputs, ClerkUserOutputs } from "../providers/clerk-user/inputs";
import { ensureMigration } from "../providers/migration/lifecycle";
import type { NotificationInputs } from "../providers/notification/inputs";
import { observeStack } from "../providers/observe";
import { makePlan } from "../providers/plan";
import type { Plan } from "../providers/planned";
import { openDatabase } from "../providers/postgres/database";
import type { Owner } from "../providers/postgres/ledger-migrations";
import { readUser } from "../providers/postgres/ledger-users";
import { type ConnectionSettings, parseSettings, type Settings } from "../providers/settings";
import { openSystems, type Systems } from "../providers/systems";
import type { World } from "../providers/world";
import type { User } from "../sandbox/clerk/records";
import { type ClerkOptions, type LocalClerk, startClerk } from "../sandbox/clerk/server";
import { addEarlierUsers } from "../sandbox/earlier-users";
import { connected } from "../sandbox/postgres";
import { loadSample, type SampleUser, sampleUsers } from "../sandbox/sample-users";
import { clerkSettings } from "../sandbox/sandbox";
import { type TestDatabase, testDatabase } from "./database";

export const PROJECT = "clerk-migration";
export const STACK = `${PROJECT}/test`;
export const MIGRATION_ID = "m_test";

/** The sample's legacy users, in the order of the sample. */
export const legacyUsers = sampleUsers.filter((user) => user.clerkUserId === null);
const [sarah, marcus] = legacyUsers;
if (sarah === undefined || marcus === undefined) throw new Error("The sample has no legacy users.");

/** Two of them, for tests about one person. */
export const SARAH: SampleUser = sarah;
export const MARCUS: SampleUser = marcus;

/** What a provider process works with, between a database and a local Clerk of its own. */
export interface TestSystems {
  readonly database: TestDatabase;
  readonly clerk: LocalClerk;
  /** Of the process that runs now. */
  readonly systems: Systems;
  readonly warnings: readonly string[];
  readonly migration: Owner;
  /** Ends the process, as a kill would, and starts another one. */
  restart(changes?: Partial<ConnectionSettings>): Promise<Systems>;
  /** The same process with these settings of the stack. */
  restartWith(
    changes: Readonly<Record<string, string>>,
    environment?: Readonly<Record<string, string>>,
  ): Promise<void>;
  settings(
    changes?: Readonly<Record<string, string>>,
    environment?: Readonly<Record<string, string>>,
  ): Settings;
  /** Replaces what decisions.yaml says. */
  decide(decisions: Readonly<Record<string, unknown>>): void;
  plan(
    changes?: Readonly<Record<string, string>>,
    environment?: Readonly<Record<string, string>>,
  ): Promise<Plan>;
  world(
    changes?: Readonly<Record<string, string>>,
    environment?: Readonly<Record<string, string>>,
  ): Promise<World>;
  /** What the program would declare of this user now. */
  declared(userId: string, changes?: Readonly<Record<string, string>>): Promise<ClerkUserInputs>;
  /** What the state of a migrated user is. */
  recorded(userId: string): Promise<ClerkUserOutputs>;
  /** The mail that tells, or the reminder of that number. */
  notification(
    userId: string,
    changes?: Readonly<Record<string, string>>,
    number?: number,
  ): Promise<NotificationInputs>;
  query<T extends object>(text: string, values?: readonly unknown[]): Promise<T[]>;
  /** The one Clerk user who carries this legacy id. */
  live(userId: string): User | undefined;
  link(userId: string): Promise<string | null | undefined>;
  /** Requests of the Backend API that wrote, in order. */
  written(): string[];
  close(): Promise<void>;
}

export interface TestOptions extends ClerkOptions {
  /** Fills the empty database. @default the 44 sample users */
  readonly load?: (databaseUrl: string) => Promise<void>;
}

/** The sample, a local Clerk with those it knew before, and the systems of a first `up` that has made the ledger. */
export async function openTestSystems({
  load = loadSample,
  ...options
}: TestOptions = {}): Promise<TestSystems> {
  const database = await testDatabase();
  await load(database.url);
  const clerk = await startClerk({ enforceLimits: false, ...options });
  addEarlierUsers(clerk.store);
  const warnings: string[] = [];
  // Clerk's development limit would make every test wait; these are about something else.
  const own = {
    notify: "invitation",
    clerkRequestsPer10s: "100000",
    allowProduction: "true",
    allowUndeliverable: "true",
  };
  // Left to the stack's own settings, so that a test can say otherwise.
  const environment = { ...clerkSettings(database.url, clerk), MIGRATE_ALLOW_UNDELIVERABLE: "" };
  const files = await mkdtemp(join(tmpdir(), "clerk-migration-test-"));
  const decisions = join(files, "decisions.yaml");
  const settingsWith = (
    changes: Readonly<Record<string, string>> = {},
    variables: Readonly<Record<string, string>> = {},
  ) =>
    parseSettings(
      { ...environment, ...variables },
      { values: { ...own, decisions, ...changes }, isSecret: () => true },
    );
  const open = (changes: Partial<ConnectionSettings> = {}) =>
    openSystems({ ...settingsWith(), ...changes }, (sentence) => warnings.push(sentence));
  const reader = openDatabase(database.url, 2);
  const migration: Owner = {
    ...{ stack: STACK, migrationId: MIGRATION_ID, clerkInstanceId: clerk.instanceId },
    stacks: new Set([STACK]),
  };
  let systems = open();
  await ensureMigration(systems, migration);

  const query = async <T extends object>(text: string, values: readonly unknown[] = []): Promise<T[]> =>
    (await reader.query<T>(text, [...values])).rows;
  const world = (
    changes?: Readonly<Record<string, string>>,
    variables?: Readonly<Record<string, string>>,
  ): Promise<World> => observeStack(settingsWith(changes, variables), reader, migration);
  const plan = async (
    changes?: Readonly<Record<string, string>>,
    variables?: Readonly<Record<string, string>>,
  ) => {
    const chosen = settingsWith(changes, variables);
    return makePlan(await observeStack(chosen, reader, migration), chosen);
  };
  const planned = async (userId: string, changes?: Readonly<Record<string, string>>) =>
    (await plan(changes)).users.find((user) => user.userId === userId);

  return {
    database,
    clerk,
    get systems() {
      return systems;
    },
    warnings,
    migration,
    async restart(changes) {
      await systems.database.end();
      await connected(database.url, (client) =>
        client.query(
          "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
        ),
      );
      systems = open(changes);
      return systems;
    },
    async restartWith(changes, variables) {
      await systems.close();
      systems = openSystems(settingsWith(changes, variables), (sentence) => warnings.push(sentence));
    },
    settings: settingsWith,
    decide(decided) {
      writeFileSync(decisions, JSON.stringify(decided));
    },
    plan,
    world,
    async declared(userId, changes) {
      const declared = (await planned(userId, changes))?.declared;
      if (declared == null) throw new Error(`The plan leaves ${userId} out.`);
      return declared;
    },
    async recorded(userId) {
      const user = (await planned(userId))?.declared;
      const held = await readUser(reader, migration, userId);
      if (user == null || held == null) throw new Error(`Nobody holds ${userId}.`);
      return {
        ...user,
        clerkUserId: held.clerkUserId ?? "",
        clerkInstanceId: clerk.instanceId,
        origin: "created",
        condition: "ok",
        seen: "ok",
        lastSignInAt: "",
      };
    },
    async notification(userId, changes, number = 0) {
      const mails = (await planned(userId, changes))?.notifications ?? [];
      const mail = mails.find((one) => one.number === number);
      if (mail === undefined) throw new Error(`The plan has no mail for ${userId}.`);
      return mail;
    },
    query,
    live: (userId) => clerk.store.userByExternalId(userId),
    async link(userId) {
      const rows = await query<{ link: string | null }>(
        "select clerk_user_id as link from users where user_id = $1",
        [userId],
      );
      return rows[0]?.link;
    },
    written: () =>
      clerk.store.requests
        .filter((request) => request.wrote && !request.path.startsWith("/v1/client"))
        .map((request) => request.kind),
    async close() {
      await Promise.all([clerk.stop(), systems.database.end(), reader.end()]);
      await Promise.all([database.drop(), rm(files, { recursive: true })]);
    },
  };
}
