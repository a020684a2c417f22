import { compareSync } from "bcryptjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { connected } from "../../sandbox/postgres";
import {
  clerkOnlyUsers,
  earlierClerkUsers,
  generatedPassword,
  loadGenerated,
  loadSample,
  sampleUsers,
} from "../../sandbox/sample-users";
import type { TestDatabase } from "../database";
import { testDatabase } from "../database";

const linked = sampleUsers.filter(({ clerkUserId }) => clerkUserId !== null);

describe("the sample", () => {
  test("has 36 legacy users and 8 linked ones, three of those with a digest", () => {
    expect(sampleUsers).toHaveLength(44);
    expect(
      sampleUsers.filter((user) => user.clerkUserId === null && user.passwordDigest !== null),
    ).toHaveLength(36);
    expect(linked).toHaveLength(8);
    expect(linked.filter(({ passwordDigest }) => passwordDigest !== null)).toHaveLength(3);
  });

  test("every digest is the bcrypt digest of its password, and no other's", () => {
    const digests = sampleUsers.flatMap(({ password, passwordDigest }) =>
      passwordDigest === null ? [] : [{ password, passwordDigest }],
    );
    for (const { password, passwordDigest } of digests) {
      expect(passwordDigest).toMatch(/^\$2[ab]\$10\$[./A-Za-z0-9]{53}$/);
      expect(compareSync(password, passwordDigest)).toBe(true);
    }
    expect(digests.filter(({ passwordDigest }) => passwordDigest.startsWith("$2a$"))).toHaveLength(2);
    expect(compareSync("correct-amber-02", digests[0]?.passwordDigest ?? "")).toBe(false);
  });

  test("has nothing that two users share, and only addresses that reach nobody", () => {
    const people = [...sampleUsers, ...clerkOnlyUsers];
    const emails = people.map(({ email }) => email);
    expect(new Set(emails).size).toBe(47);
    for (const email of emails) expect(email).toMatch(/^[a-z0-9.+-]+@example\.(com|org|net)$/);
    expect(new Set(sampleUsers.map(({ userId }) => userId)).size).toBe(44);
    expect(new Set(sampleUsers.map(({ password }) => password)).size).toBe(44);
  });

  test("has ids of the real forms and times that Clerk can keep", () => {
    for (const { userId, createdAt } of sampleUsers) {
      expect(userId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(new Date(createdAt).toISOString()).toBe(createdAt);
    }
    for (const { id } of earlierClerkUsers) expect(id).toMatch(/^user_[A-Za-z0-9]{27}$/);
  });

  test("knows in Clerk the linked users and three others", () => {
    expect(earlierClerkUsers).toHaveLength(11);
    expect(earlierClerkUsers.slice(0, 8).map(({ id, email }) => [id, email])).toEqual(
      linked.map(({ clerkUserId, email }) => [clerkUserId, email]),
    );
    expect(earlierClerkUsers[0]).toMatchObject({ firstName: "Priya", lastName: "Raman" });
  });
});

describe("loading", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await testDatabase();
  });

  afterAll(() => database.drop());

  test("writes every sample user as it is, with sessions and prompts, and a second time nothing", async () => {
    await loadSample(database.url);
    const first = await contents();
    expect(first.users).toEqual(
      sampleUsers
        .map(({ userId, email, name, passwordDigest, clerkUserId, createdAt }) => ({
          user_id: userId,
          email,
          name,
          password_hash: passwordDigest,
          clerk_user_id: clerkUserId,
          created_at: new Date(createdAt),
        }))
        .sort((a, b) => (a.user_id < b.user_id ? -1 : 1)),
    );
    expect(first.chatty).toBe(44);

    await loadSample(database.url);
    expect(await contents()).toEqual(first);
  });

  test("adds generated legacy users; the same seed adds none twice, another seed adds others", async () => {
    await loadGenerated(database.url, 1_000);
    await loadGenerated(database.url, 1_000);
    expect(await legacyCount()).toBe(36 + 1_000);
    await loadGenerated(database.url, 1_500);
    expect(await legacyCount()).toBe(36 + 1_500);
    await loadGenerated(database.url, 10, { seed: 2 });
    expect(await legacyCount()).toBe(36 + 1_510);

    const { rows } = await query(`
      select distinct password_hash as digest, user_id::text ~ '^.{14}4.{4}[89ab]' as form
      from users where email like 'user-%'`);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.form).toBe(true);
    expect(compareSync(generatedPassword, String(rows[0]?.digest))).toBe(true);
  });

  function query(sql: string): Promise<{ rows: Record<string, unknown>[] }> {
    return connected(database.url, (client) => client.query(sql));
  }

  async function contents(): Promise<{ users: object[]; chatty: unknown; prompts: object[] }> {
    const users = await query("select * from users order by user_id");
    const prompts = await query("select * from prompts order by id");
    const chatty = await query(`
      select count(distinct s.user_id)::int as count
      from prompts p join chat_sessions s on s.id = p.chat_session_id and s.user_id = p.user_id`);
    return { users: users.rows, chatty: chatty.rows[0]?.count, prompts: prompts.rows };
  }

  async function legacyCount(): Promise<unknown> {
    const { rows } = await query(
      "select count(*)::int as count from users where clerk_user_id is null and password_hash is not null",
    );
    return rows[0]?.count;
  }
});
