import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Client } from "pg";

import { connected } from "./postgres";
import file from "./sample-users.json";

/** A person in the sample application. */
export interface SampleUser {
  readonly userId: string;
  readonly email: string;
  readonly name: string | null;
  /** In clear, for signing in to the sandbox. For users without a digest it is the one they have in Clerk. */
  readonly password: string;
  /** bcrypt, cost 10. null for those who have only ever had a password in Clerk. */
  readonly passwordDigest: string | null;
  readonly clerkUserId: string | null;
  /** RFC 3339 in UTC, with milliseconds: what Clerk can keep. */
  readonly createdAt: string;
}

/** A user whom Clerk had before the migration. */
export interface EarlierClerkUser {
  readonly id: string;
  readonly email: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly createdAt: string;
}

interface ChatSession {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  readonly created_at: string;
}

interface Prompt {
  readonly id: string;
  readonly user_id: string;
  readonly chat_session_id: string;
  readonly body: string;
  readonly created_at: string;
}

/**
 * 36 legacy users and 8 who are linked to Clerk already: five of them without a digest, three who still have theirs.
 * Passwords read `correct-<word>-<number of the user>`.
 */
export const sampleUsers: readonly SampleUser[] = file.users;

/** People whom the application has no row for. */
export const clerkOnlyUsers: readonly EarlierClerkUser[] = file.clerkOnlyUsers;

/** Everybody whom Clerk knows before the migration starts: the linked users and those only Clerk has. */
export const earlierClerkUsers: readonly EarlierClerkUser[] = [
  ...sampleUsers.flatMap((user) => (user.clerkUserId === null ? [] : [inClerk(user, user.clerkUserId)])),
  ...clerkOnlyUsers,
];

/** The password of every generated user. One digest for all: 100,000 different ones would take an hour. */
export const generatedPassword = "correct-horse-00";
const generatedDigest = "$2b$10$HoPWdKmgn4JIYUX8.XUJeutOSH3UeRifJQCWkE8Ia0o5BCLwdOU8W";

const firstNames = [
  "Ada",
  "Bruno",
  "Chiara",
  "Deepak",
  "Emeka",
  "Freya",
  "Gülay",
  "Hiro",
  "Ines",
  "Jonas",
  "Katya",
];
const lastNames = [
  "Abara",
  "Brandt",
  "Costa",
  "Dahl",
  "Eriksen",
  "Ferrari",
  "Gupta",
  "Hassan",
  "Ito",
  "Jansen",
];

/** What the sample users talk about: titles of sessions, and what was asked in them. */
const conversations: readonly (readonly [string, readonly string[]])[] = [
  ["Trip to Lisbon", ["Plan three days in Lisbon with a child.", "Which of these are open on Monday?"]],
  [
    "Cover letter",
    ["Make this cover letter shorter.", "Less formal, please.", "Now translate it into German."],
  ],
  ["Sourdough", ["Why does my sourdough stay flat?"]],
  ["SQL question", ["How do I find duplicate rows?", "And keep only the newest of each?"]],
  ["Birthday speech", ["Write a speech for my father's 70th birthday.", "He likes sailing; mention it."]],
  [
    "Reading list",
    ["Five novels about the sea.", "Only ones from this century.", "Who translated the third?"],
  ],
  ["Rent or buy", ["Compare renting and buying over ten years."]],
];

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Creates the application's tables and fills them with the sample. Safe to repeat: rows that are there stay as they are. */
export async function loadSample(databaseUrl: string): Promise<void> {
  const sessions = sampleUsers.flatMap(sessionsOf);
  await connected(databaseUrl, async (client) => {
    await client.query("begin");
    await createTables(client);
    await insertUsers(client, sampleUsers);
    await insertSessions(client, sessions);
    await insertPrompts(client, sessions.flatMap(promptsOf));
    await client.query("commit");
  });
}

/**
 * Adds `count` legacy users, creating the tables if need be. The same seed gives the same users, so a larger count adds
 * to a smaller one; another seed gives others.
 */
export async function loadGenerated(
  databaseUrl: string,
  count: number,
  { seed = 1 }: { readonly seed?: number } = {},
): Promise<void> {
  await connected(databaseUrl, async (client) => {
    await client.query("begin");
    await createTables(client);
    await insertGenerated(client, count, seed);
    await client.query("commit");
  });
}

function inClerk(user: SampleUser, id: string): EarlierClerkUser {
  const [firstName, ...rest] = (user.name ?? "").trim().split(/\s+/);
  return {
    id,
    email: user.email,
    firstName: firstName === undefined || firstName === "" ? null : firstName,
    lastName: rest.length === 0 ? null : rest.join(" "),
    createdAt: user.createdAt,
  };
}

/** One to three sessions, some days after the user has joined. */
function sessionsOf(user: SampleUser, index: number): ChatSession[] {
  return Array.from({ length: 1 + (index % 3) }, (_, number) => {
    const [title] = conversationAt(index + number);
    const id = uuidFrom(`session ${number.toString()} of ${user.userId}`);
    return { id, user_id: user.userId, title, created_at: later(user.createdAt, (1 + 9 * number) * DAY_MS) };
  });
}

function promptsOf(session: ChatSession): Prompt[] {
  const bodies = conversations.find(([title]) => title === session.title)?.[1] ?? [];
  return bodies.map((body, number) => ({
    id: uuidFrom(`prompt ${number.toString()} of ${session.id}`),
    user_id: session.user_id,
    chat_session_id: session.id,
    body,
    created_at: later(session.created_at, (1 + 4 * number) * MINUTE_MS),
  }));
}

function conversationAt(index: number): (typeof conversations)[number] {
  const conversation = conversations[index % conversations.length];
  if (conversation === undefined) throw new Error("There is no conversation to choose from.");
  return conversation;
}

function later(time: string, milliseconds: number): string {
  return new Date(Date.parse(time) + milliseconds).toISOString();
}

/** The same text gives the same id, in the form of a random one (version 4). */
function uuidFrom(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

async function createTables(client: Client): Promise<void> {
  await client.query(await readFile(join(__dirname, "schema.sql"), "utf8"));
}

async function insertUsers(client: Client, users: readonly SampleUser[]): Promise<void> {
  await client.query(
    `insert into users (user_id, email, name, password_hash, clerk_user_id, created_at)
     select "userId", email, name, "passwordDigest", "clerkUserId", "createdAt"
     from json_to_recordset($1::json) as sample (
       "userId" uuid, email text, name text, "passwordDigest" text, "clerkUserId" text, "createdAt" timestamptz
     )
     on conflict (user_id) do nothing`,
    [JSON.stringify(users)],
  );
}

async function insertSessions(client: Client, sessions: readonly ChatSession[]): Promise<void> {
  await client.query(
    `insert into chat_sessions (id, user_id, title, created_at)
     select id, user_id, title, created_at
     from json_populate_recordset(null::chat_sessions, $1::json)
     on conflict (id) do nothing`,
    [JSON.stringify(sessions)],
  );
}

async function insertPrompts(client: Client, prompts: readonly Prompt[]): Promise<void> {
  await client.query(
    `insert into prompts (id, user_id, chat_session_id, body, created_at)
     select id, user_id, chat_session_id, body, created_at
     from json_populate_recordset(null::prompts, $1::json)
     on conflict (id) do nothing`,
    [JSON.stringify(prompts)],
  );
}

/** Ids are md5 in the form of a random uuid; one name in ten is null, one in seven a single word. */
async function insertGenerated(client: Client, count: number, seed: number): Promise<void> {
  await client.query(
    `insert into users (user_id, email, name, password_hash, created_at)
     select
       overlay(overlay(md5($2::int || ':' || n) placing '4' from 13) placing 'a' from 17)::uuid,
       'user-' || n || '.' || $2::int || '@example.com',
       case
         when n % 10 = 0 then null
         when n % 7 = 0 then first_name
         else first_name || ' ' || last_name
       end,
       $3::text,
       timestamptz '2018-01-01 00:00:00Z' + (n * 7919 % 2628000) * interval '90.017 seconds'
     from generate_series(1, $1::bigint) as n
     cross join lateral (
       select
         ($4::text[])[1 + n % cardinality($4::text[])] as first_name,
         ($5::text[])[1 + n % cardinality($5::text[])] as last_name
     ) as names
     on conflict (user_id) do nothing`,
    [count, seed, generatedDigest, firstNames, lastNames],
  );
}
