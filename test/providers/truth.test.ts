import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { ClerkUserInputs } from "../../providers/clerk-user/inputs";
import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { MigrationError } from "../../providers/errors";
import { makePlan } from "../../providers/plan";
import type { PlannedUser } from "../../providers/planned";
import { clerkUser } from "../../sandbox/clerk/new-user";
import type { EmailAddress } from "../../sandbox/clerk/records";
import { instanceSettings } from "../../sandbox/clerk/settings";
import { connected } from "../../sandbox/postgres";
import { MIGRATION_ID, openTestSystems, type TestSystems } from "../systems";

/** Worlds, each of up to six rows, with people in Clerk and an instance set in some way. */
const WORLDS = 1_000;

/** The same worlds every time, unless TRUTH_SEED says otherwise: a number, found again in a failure's report. */
const SEED = Number(process.env.TRUTH_SEED ?? "20261123");

const DIGEST = "$2b$10$abcdefghijklmnopqrstuuN9Wc0Yb0Yb0Yb0Yb0Yb0Yb0Yb0Yb0Yb";

let on: TestSystems;
beforeAll(async () => {
  on = await openTestSystems({
    load: (url) =>
      connected(url, async (client) => {
        await client.query(
          `create table users (user_id text primary key, email text, name text, password_hash text,
             clerk_user_id text unique, created_at timestamptz, username text, phone text,
             metadata jsonb, proven boolean, gone timestamptz)`,
        );
      }),
  });
});
afterAll(() => on.close());

const userIds = ["a", "b", "c", "d", "e", "f"] as const;
const addresses = [
  ...["a@x.org", "b@x.org", "c@x.org", "A@X.org ", "a+1@x.org", "d@mailinator.com"],
  ...["bad", "", "e@y.test", "f@blocked.org"],
];

const rowArbitrary = fc.record({
  email: fc.option(fc.constantFrom(...addresses), { freq: 12 }),
  name: fc.constantFrom("Ada Lovelace", "Ada", "", "A".repeat(300)),
  digest: fc.constantFrom(DIGEST, DIGEST, DIGEST, "plain", "!unusable", null),
  link: fc.constantFrom(null, null, null, "", "user_0"),
  createdAt: fc.constantFrom("2024-01-01", "2024-01-01", null, "infinity", "2999-01-01"),
  username: fc.constantFrom(null, null, "adal", "ada", "a.dal", "1815"),
  phone: fc.constantFrom(null, null, "+49 30 123456", "+44 (0)20 7946 0018", "+44 020 7946 0018"),
  metadata: fc.constantFrom(null, [], { plan: "free" }, [1], { text: "x".repeat(8_200) }),
  proven: fc.boolean(),
  gone: fc.constantFrom(null, null, "infinity", "2999-01-01", "2020-01-01"),
});

const personArbitrary = fc.record({
  email: fc.constantFrom("a@x.org", "b@x.org", "z@x.org"),
  status: fc.constantFrom<EmailAddress["status"]>("verified", "verified", "reserved", "unverified"),
  externalId: fc.constantFrom(null, null, "a", "b", "other"),
  mark: fc.constantFrom(null, null, "ours", "other/stack"),
  username: fc.constantFrom(null, "adal"),
});

const attribute = (enabled: number, required: number) =>
  fc.tuple(fc.nat(9), fc.nat(9)).map(([first, second]) => ({
    enabled: first < enabled,
    required: first < enabled && second < required,
  }));

const instanceArbitrary = fc.record({
  attributes: fc.record({
    email_address: attribute(9, 9),
    phone_number: attribute(2, 1),
    username: attribute(6, 1),
    first_name: attribute(9, 1),
    last_name: attribute(9, 1),
    password: attribute(9, 9),
  }),
  usernames: fc.record({
    minLength: fc.constantFrom(4, 4, 3),
    maxLength: fc.constant(64),
    allowsSpecialCharacters: fc.boolean(),
    allowsNumbersAlone: fc.boolean(),
  }),
  emailFirstFactors: fc.constantFrom<("email_code" | "email_link")[]>(["email_code"], ["email_code"], []),
  legalConsentRequired: fc.nat(9).map((chance) => chance === 0),
  blockEmailSubaddresses: fc.nat(4).map((chance) => chance === 0),
  blockDisposableEmailDomains: fc.nat(4).map((chance) => chance === 0),
  blocklist: fc.constantFrom<string[]>([], [], ["*@blocked.org"]),
});

const settingsArbitrary = fc.record({
  passwords: fc.constantFrom("carry", "carry", "reset"),
  existing: fc.constantFrom("refuse", "adopt"),
  emailVerified: fc.constantFrom("all", "all", "none", "column:proven"),
  unverified: fc.constantFrom("reserve", "verify", "block"),
  legalConsent: fc.constantFrom("require", "skip"),
  allowUndeliverable: fc.constantFrom("true", "false"),
  limit: fc.constantFrom("0", "0", "2"),
});

/** What somebody does between a first run and the plan. */
const changeArbitrary = fc.constantFrom(
  ...[
    "nothing",
    "rename",
    "move",
    "password",
    "sign-in",
    "delete",
    "unmark",
    "unlink",
    "cut-off",
    "rollback",
  ],
);

const worldArbitrary = fc.record({
  rows: fc.array(rowArbitrary, { minLength: 1, maxLength: userIds.length }),
  people: fc.array(personArbitrary, { maxLength: 2 }),
  instance: instanceArbitrary,
  settings: settingsArbitrary,
  change: changeArbitrary,
});

type GivenWorld = typeof worldArbitrary extends fc.Arbitrary<infer T> ? T : never;

const mapping = {
  usernameColumn: "username",
  phoneColumn: "phone",
  publicMetadataColumn: "metadata",
  deletedColumn: "gone",
  notify: "none",
};

async function enter({ rows, people, instance }: GivenWorld): Promise<void> {
  await on.query("truncate users, clerk_migration.users");
  for (const [index, row] of rows.entries()) {
    const taken = rows.slice(0, index).some(({ link }) => link === row.link);
    await on.query("insert into users values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", [
      ...[userIds[index], row.email, row.name, row.digest, taken ? null : row.link, row.createdAt],
      ...[row.username, row.phone, JSON.stringify(row.metadata), row.proven, row.gone],
    ]);
  }
  const { store, settings } = on.clerk;
  for (const id of [...store.users.keys()]) store.removeUser(id);
  for (const [index, person] of people.entries()) {
    const mark: Readonly<Record<string, string>> =
      person.mark === "ours" ? { migration: MIGRATION_ID } : { stack: person.mark ?? "" };
    const user = clerkUser({
      ...person,
      id: `user_${index.toString()}`,
      privateMetadata: person.mark === null ? {} : { clerk_migration: mark },
    });
    const isFree =
      (person.status === "unverified" || store.userByEmailAddress(person.email) === undefined) &&
      (person.externalId === null || store.userByExternalId(person.externalId) === undefined) &&
      (person.username === null || store.userByUsername(person.username) === undefined);
    if (isFree) store.putUser(user);
  }
  Object.assign(settings, instanceSettings(instance));
}

async function outcomeOf(inputs: ClerkUserInputs): Promise<MigrationError | "done"> {
  try {
    await ensureUser(on.systems, inputs);
    return "done";
  } catch (error) {
    if (error instanceof MigrationError) return error;
    throw error;
  }
}

/** A life before the plan: a run as the instance was then, and what somebody did to one user afterwards. */
async function live(
  { change, settings }: GivenWorld,
  chosen: Readonly<Record<string, string>>,
): Promise<void> {
  if (change === "nothing") return;
  const before = { ...on.clerk.settings };
  Object.assign(on.clerk.settings, instanceSettings());
  await on.restartWith(chosen);
  for (const { declared } of (await on.plan({ ...chosen, limit: "0" })).users) {
    if (declared !== null) await outcomeOf(declared);
  }
  Object.assign(on.clerk.settings, before);
  const [held] = await on.query<{ user_id: string; clerk_user_id: string }>(
    "select user_id, clerk_user_id from clerk_migration.users where status = 'linked' and origin = 'created' order by 1",
  );
  if (held === undefined) return;
  const set = (columns: string) => on.query(`update users set ${columns} where user_id = $1`, [held.user_id]);
  const setLedger = (columns: string) =>
    on.query(`update clerk_migration.users set ${columns} where user_id = $1`, [held.user_id]);
  const { store } = on.clerk;
  if (change === "rename") await set("name = 'Grace Hopper'");
  if (change === "move") await set("email = 'b@x.org'");
  if (change === "password") await set(`password_hash = '${DIGEST.replace("abc", "xyz")}'`);
  if (change === "sign-in") {
    store.changeUser(held.clerk_user_id, { lastSignInAt: Date.now() });
    await set("name = 'Grace Hopper'");
  }
  if (change === "delete") {
    store.removeUser(held.clerk_user_id);
    await set("name = 'Grace Hopper'");
  }
  if (change === "unmark") {
    store.changeUser(held.clerk_user_id, { privateMetadata: {} });
    await set("name = 'Grace Hopper'");
  }
  if (change === "unlink") await set("clerk_user_id = null");
  if (change === "cut-off") {
    await set("clerk_user_id = null");
    await setLedger("status = 'creating', clerk_user_id = null, origin = null, passwords = null");
    if (settings.passwords === "carry") store.removeUser(held.clerk_user_id);
  }
  if (change === "rollback") {
    await set("clerk_user_id = null");
    await setLedger("status = 'unlinking'");
    if (settings.passwords === "carry") store.removeUser(held.clerk_user_id);
  }
}

/** Runs what is announced, one after the other, and says where it did something else. */
async function lies(given: GivenWorld): Promise<string[]> {
  await enter(given);
  const chosen = { ...mapping, ...given.settings };
  await live(given, chosen);
  await on.restartWith(chosen);
  const plan = makePlan(await on.world(chosen), on.settings(chosen));
  const mayBeRefused = plan.findings.some(
    ({ check, status }) => check === "instance/restrictions" && status === "unknown",
  );
  const found: string[] = [];
  for (const user of plan.users) {
    if (user.declared === null) continue;
    const before = JSON.stringify([...on.clerk.store.users.values()]);
    const idsBefore = new Set(on.clerk.store.users.keys());
    const outcome = await outcomeOf(user.declared);
    const lie = lieOf(user, outcome, {
      isRestricted: mayBeRefused && outcome !== "done" && outcome.code === "clerk-not_allowed_access",
      made: [...on.clerk.store.users.keys()].filter((id) => !idsBefore.has(id)).length,
      isUntouched: before === JSON.stringify([...on.clerk.store.users.values()]),
      isLinked: (await on.link(user.userId)) === on.live(user.userId)?.id,
    });
    if (lie !== undefined) found.push(`${user.userId}: ${user.verdict} (${user.code}), but ${lie}`);
  }
  return found;
}

interface Truth {
  readonly isRestricted: boolean;
  readonly made: number;
  readonly isUntouched: boolean;
  readonly isLinked: boolean;
}

function lieOf(user: PlannedUser, outcome: MigrationError | "done", truth: Truth): string | undefined {
  if (user.verdict === "blocked") return outcome === "done" ? "it succeeded" : undefined;
  if (outcome !== "done") return truth.isRestricted ? undefined : `it failed: ${outcome.message}`;
  if (user.code === "relinked") return undefined;
  if (!truth.isLinked) return "it is not linked to its Clerk user";
  const makes = user.verdict === "create" || user.code === "recreate" ? 1 : 0;
  if (user.verdict !== "resume" && truth.made !== makes) return `${truth.made.toString()} users were made`;
  const leavesAlone = user.verdict === "unchanged" || user.code === "clerk-is-truth";
  return leavesAlone && !truth.isUntouched ? "something was written in Clerk" : undefined;
}

test(
  `what a plan announces is what a run does, in ${WORLDS.toString()} worlds`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(worldArbitrary, async (given) => {
        expect(await lies(given)).toEqual([]);
      }),
      { numRuns: WORLDS, seed: SEED },
    );
  },
);
