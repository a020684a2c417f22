import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";

import type { Client } from "pg";
import { z } from "zod";

import { clerkUser } from "../../sandbox/clerk/new-user";
import type { User } from "../../sandbox/clerk/server";
import { connected, copyDatabase, createDatabase } from "../../sandbox/postgres";
import { loadGenerated } from "../../sandbox/sample-users";
import { type LocalSmtp, startSmtp } from "../../sandbox/smtp";
import { factsOf } from "../facts";
import { type Facts, type Given, givenBy, type Row } from "../invariants";
import { openStack, type Stack } from "../stack";
import { type Random, random } from "./random";
import type { Tally } from "./tally";

/** Few enough that a run takes seconds, enough that some are done, some under way and some not begun. */
const USERS = 6;

type Variables = Record<string, string>;

/** What of `Given` the life of a trial changes. */
interface Changing extends Given {
  readonly rows: Map<string, Row>;
  readonly clerkUsers: Map<string, User>;
  readonly adoptable: Map<string, string>;
  readonly arrived: Set<string>;
  readonly mailsAllowed: Map<string, number>;
}

/** Where a trial takes place: both systems, a stack between them, and what everybody else does there. */
export interface World {
  readonly adminUrl: string;
  readonly stack: Stack;
  /** Where the users are told by mails of our own. */
  readonly smtp: LocalSmtp | undefined;
  readonly given: Changing;
  readonly chance: Random;
  readonly tally: Tally;
  /** What was done, in order. */
  readonly story: string[];
  readonly violations: string[];
  /** For every run. */
  readonly variables: Variables;
  /** Older copies of the ledger, as a backup has them. */
  readonly backups: LedgerCopy[];
  /** The last run but refresh was an undisturbed `up`, and it succeeded. */
  isSettled: boolean;
  /** Set for the run under way. */
  onRequest: (() => void) | undefined;
  child: ChildProcess | undefined;
}

/** In both systems: `USERS` rows, one of them linked before us, and Clerk users who are none of ours. */
export async function openWorld(adminUrl: string, seed: number, tally: Tally): Promise<World> {
  const chance = random(seed);
  const hooks: Pick<World, "onRequest" | "child"> = { onRequest: undefined, child: undefined };
  const stack = await openStack(adminUrl, {
    load: async (url) => {
      await loadGenerated(url, USERS, { seed });
      await connected(url, (client) =>
        client.query(
          "update users set clerk_user_id = 'user_by_hand' where user_id = (select min(user_id::text)::uuid from users)",
        ),
      );
    },
    onExchange: () => hooks.onRequest?.(),
    onStart: (child) => (hooks.child = child),
  });
  const { store } = stack.clerk;
  store.putUser(clerkUser({ id: "user_by_hand", email: `by-hand.${seed.toString()}@example.net` }));
  // Of another database, though project and stack have the same names there.
  const mark = { project: "clerk-migration", stack: "sandbox" };
  store.putUser(ofAnotherDatabase("user_of_another", `another.${seed.toString()}@example.net`, mark));
  const tells = chance.oneOf<Given["tells"]>(["invitation", "invitation", "invitation", "own", "nobody"]);
  const smtp = tells === "own" ? await startSmtp() : undefined;
  const told = { invitation: "invitation", own: "sign-in-link", nobody: "none" } as const;
  await stack.configure({
    notify: told[tells],
    existing: "adopt",
    remindAfterDays: "3",
    maxReminders: "2",
    retirePasswords: "arrived",
    retireAfterDays: "0",
    ...(tells === "own" ? { mailFrom: "app@example.com", appName: "App" } : {}),
  });
  const facts = await factsOf(stack, smtp);
  const world: World = Object.assign(hooks, {
    ...{ adminUrl, stack, smtp, chance, tally },
    given: {
      ...givenBy(facts, { tells }),
      rows: new Map(facts.rows),
      clerkUsers: new Map(facts.clerkUsers),
      adoptable: new Map<string, string>(),
      arrived: new Set<string>(),
      mailsAllowed: new Map<string, number>(),
    },
    story: [`tells by ${told[tells]}`],
    violations: [],
    variables: {
      DIGEST_SEAL_KEY: createHash("sha256").update("chaos").digest("base64"),
      ROLLBACK_SIGNED_IN: "delete",
      ...(smtp === undefined ? {} : { SMTP_URL: smtp.url }),
    },
    backups: [],
    isSettled: false,
  });
  allowMail(world, created(world));
  return world;
}

export function now({ stack, smtp }: World): Promise<Facts> {
  return factsOf(stack, smtp);
}

/** The rows for whom the program is to make a Clerk user. */
export function created({ given }: World): Row[] {
  const adopted = new Set(given.adoptable.values());
  return [...given.rows.values()].filter(
    ({ userId, clerkUserId }) => clerkUserId === null && !adopted.has(userId),
  );
}

/** One mail more to the address of each. */
export function allowMail({ given }: World, rows: readonly Row[]): void {
  if (given.tells === "nobody") return;
  for (const { email } of rows) given.mailsAllowed.set(email, (given.mailsAllowed.get(email) ?? 0) + 1);
}

/** Rows that the application gets, of people whom Clerk has already, with addresses that are proven there. */
export async function addAdoptable({ stack, given }: World): Promise<void> {
  const { databaseUrl, clerk } = stack;
  const metadata: readonly User["privateMetadata"][] = [{}, { plan: "pro", seats: 3 }];
  for (const privateMetadata of metadata) {
    const number = given.adoptable.size.toString();
    const email = `adopted-${number}@example.org`;
    const userId = uuidOf(`${databaseUrl} ${email}`);
    const digest = [...given.rows.values()][0]?.digest ?? null;
    const { rows } = await connected(databaseUrl, (client) =>
      client.query<{ createdAt: string }>(
        `insert into users (user_id, email, name, password_hash) values ($1, $2, 'Ada Adopted', $3)
         returning created_at::text as "createdAt"`,
        [userId, email, digest],
      ),
    );
    const live = { ...clerkUser({ id: `user_adopted${number}`, email, privateMetadata }), firstName: "Ada" };
    clerk.store.putUser(live);
    given.clerkUsers.set(live.id, live);
    given.adoptable.set(live.id, userId);
    const createdAt = rows[0]?.createdAt ?? "";
    given.rows.set(userId, { userId, email, name: "Ada Adopted", digest, clerkUserId: null, createdAt });
  }
}

/** The application changes two rows: the name, and address or password. Of people who are adopted never the address. */
export async function changeRows(world: World): Promise<void> {
  const { stack, given, chance, story } = world;
  const rows = [...given.rows.values()].filter(({ clerkUserId }) => clerkUserId === null);
  const adopted = new Set(given.adoptable.values());
  for (let change = 0; change < 2; change++) {
    const [was] = rows.splice(chance.below(rows.length), 1);
    if (was === undefined) return;
    const { userId } = was;
    const name = chance.chance(0.5) ? `Renamed ${chance.below(1_000).toString()}` : was.name;
    const changesAddress = chance.chance(0.5) && !adopted.has(userId);
    const email = changesAddress ? `changed-${chance.below(1_000_000).toString()}@example.org` : was.email;
    const digest = changesAddress ? was.digest : anotherDigest(chance);
    story.push(`  ${userId} gets another ${changesAddress ? "address" : "password"}`);
    await connected(stack.databaseUrl, async (client) => {
      await client.query("update users set name = $2, email = $3 where user_id = $1", [userId, name, email]);
      if (!changesAddress)
        await client.query("update users set password_hash = $2 where user_id = $1", [userId, digest]);
    });
    const row = { ...was, name, email, digest };
    given.rows.set(userId, row);
    if (changesAddress && !hasArrived(world, userId)) allowMail(world, [row]);
  }
}

/** Mails that are out were sent some days earlier: whoever has not arrived is reminded, as often as the setting says. */
export async function ageMails(world: World): Promise<void> {
  const { stack, given, story } = world;
  const { ledger } = await now(world);
  const sent = new Set(
    ledger.notifications.filter(({ status }) => status === "sent").map(({ user_id }) => user_id),
  );
  if (sent.size === 0) return;
  await connected(stack.databaseUrl, (client) =>
    client.query(
      "update clerk_migration.notifications set sent_at = sent_at - interval '4 days' where status = 'sent'",
    ),
  );
  const due = created(world).filter(({ userId }) => sent.has(userId) && !hasArrived(world, userId));
  story.push(`  ${due.length.toString()} are due for a reminder`);
  allowMail(world, due);
  if (given.tells === "nobody" && due.length > 0) throw new Error("Nobody is told, and somebody was.");
}

/** Some of those whom we made sign in with Clerk. */
export async function signInSome(world: World): Promise<void> {
  const { stack, given, chance, story } = world;
  const { store } = stack.clerk;
  const { rows } = await now(world);
  const linked = created(world).filter(({ userId }) => rows.get(userId)?.clerkUserId != null);
  for (let signIns = 1 + chance.below(2); signIns > 0; signIns--) {
    const [row] = linked.splice(chance.below(linked.length), 1);
    const user = row === undefined ? undefined : store.userByExternalId(row.userId);
    if (row === undefined || user === undefined) return;
    story.push(`  ${row.userId} signs in`);
    store.changeUser(user.id, { lastSignInAt: Date.now() - 60_000 });
    given.arrived.add(row.userId);
  }
}

function hasArrived({ stack }: World, userId: string): boolean {
  return (stack.clerk.store.userByExternalId(userId)?.lastSignInAt ?? null) !== null;
}

/** The rows of each of the ledger's tables, as JSON. */
type LedgerCopy = ReadonlyMap<string, string>;

export async function backUpLedger({ stack, backups }: World): Promise<void> {
  await connected(stack.databaseUrl, async (client) => {
    const copy = new Map<string, string>();
    for (const table of await ledgerTables(client)) {
      const { rows } = await client.query<{ all: string }>(
        `select coalesce(json_agg(entry), '[]')::text as all from clerk_migration.${table} entry`,
      );
      copy.set(table, rows[0]?.all ?? "[]");
    }
    if (copy.size > 0) backups.push(copy);
  });
}

/** Part of the ledger is gone, all of it, or it is as it was some time ago. Digests that are sealed in it stay. */
export async function loseLedger(world: World): Promise<void> {
  const { stack, chance, story, backups } = world;
  const { ledger } = await now(world);
  const sealed = ledger.retired_passwords.some((entry) => entry.sealed !== null);
  const losses = ["all", "users", "mails", "users and mails", "backup"] as const;
  const loss = sealed ? losses[1 + chance.below(3)] : chance.oneOf(losses);
  story.push(`  the ledger loses ${loss ?? ""}`);
  await connected(stack.databaseUrl, async (client) => {
    const tables = await ledgerTables(client);
    const backup = backups[0];
    // Triggers and references are about what the program writes, not about a restored backup.
    await client.query("set session_replication_role = replica");
    if (loss === "all" || (loss === "backup" && backup === undefined))
      await client.query("drop schema if exists clerk_migration cascade");
    else if (loss === "backup" && backup !== undefined)
      for (const table of tables) {
        await client.query(`delete from clerk_migration.${table}`);
        await client.query(
          `insert into clerk_migration.${table} overriding system value
           select * from json_populate_recordset(null::clerk_migration.${table}, $1)`,
          [backup.get(table) ?? "[]"],
        );
      }
    else {
      if (loss !== "mails" && tables.includes("users"))
        await client.query("delete from clerk_migration.users");
      if (loss !== "users" && tables.includes("notifications"))
        await client.query("delete from clerk_migration.notifications");
    }
  });
}

async function ledgerTables(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'clerk_migration' order by tablename",
  );
  return rows.map(({ name }) => name);
}

/**
 * Another database of the same application: without users, or with others, who have been migrated from there under the
 * same names of project and stack. Answers its URL.
 */
export async function openAnotherDatabase(world: World): Promise<string> {
  const { adminUrl, stack, given, chance, story } = world;
  const isEmpty = chance.chance(0.4);
  story.push(
    `  DATABASE_URL leads to a database ${isEmpty ? "without users" : "with other users and a ledger"}`,
  );
  if (isEmpty) {
    const url = await createDatabase(adminUrl);
    await loadGenerated(url, 0);
    return url;
  }
  const url = await copyDatabase(adminUrl, stack.databaseUrl);
  const marks = [...stack.clerk.store.users.values()].find(
    ({ id, externalId }) => !given.clerkUsers.has(id) && externalId !== null,
  )?.privateMetadata.clerk_migration;
  const links = await connected(url, async (client) => {
    await client.query("set session_replication_role = replica");
    const { rows: columns } = await client.query<{ table: string; column: string }>(
      `select format('%I.%I', table_schema, table_name) as table, column_name as column
       from information_schema.columns
       where (table_schema = 'clerk_migration' or table_schema = 'public' and table_name = 'users')
         and column_name in ('user_id', 'email', 'clerk_user_id', 'credential_id', 'migration_id')`,
    );
    for (const { table, column } of columns)
      await client.query(
        `update ${table} set ${column} = ${otherValues[column] ?? column} where ${column} is not null`,
      );
    const { rows } = await client.query<{ link: string; userId: string; email: string }>(
      `select clerk_user_id as link, user_id::text as "userId", email from users where clerk_user_id is not null`,
    );
    return rows;
  });
  for (const { link, userId, email } of links) {
    const mark = z.record(z.string(), z.json()).catch({}).parse(marks);
    const live = ofAnotherDatabase(
      link,
      email,
      "migration" in mark ? { ...mark, migration: OTHER_ID } : mark,
      userId,
    );
    stack.clerk.store.putUser(live);
    given.clerkUsers.set(live.id, live);
  }
  return url;
}

const OTHER_ID = "00000000-0000-4000-8000-00000000cafe";

/** What another database has in the place of ours. */
const otherValues: Readonly<Record<string, string>> = {
  user_id: `(md5('other ' || user_id::text)::uuid)::text::uuid`,
  email: "'other.' || email",
  clerk_user_id: "'user_other_' || substr(md5(clerk_user_id), 1, 20)",
  credential_id: "'inv_other_' || substr(md5(credential_id), 1, 20)",
  migration_id: `'${OTHER_ID}'`,
};

function ofAnotherDatabase(
  id: string,
  email: string,
  mark: Readonly<Record<string, z.core.util.JSONType>>,
  externalId = uuidOf(id),
): User {
  return clerkUser({ id, email, externalId, privateMetadata: { clerk_migration: mark } });
}

/** In the form of bcrypt's, which is all that Clerk looks at before a sign-in. */
function anotherDigest(chance: Random): string {
  const hex = createHash("sha512")
    .update(chance.below(2 ** 30).toString())
    .digest("hex");
  return `$2b$10$${hex.slice(0, 53)}`;
}

function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
