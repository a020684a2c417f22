import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { connected } from "../../sandbox/postgres";
import { openTestSystems, type TestSystems } from "../systems";
import { rowsOf } from "./the-case";

const tables = readFileSync(join(import.meta.dirname, "f17-better-auth-account.sql"), "utf8");
const [, section = ""] = readFileSync("docs/settings.md", "utf8").split("## The digest is in another table");
const [, view = ""] = /```sql\n(.*?)```/s.exec(section) ?? [];

const config = {
  usersTable: "users_with_password",
  userIdColumn: "id",
  passwordHashColumn: "password",
  createdAtColumn: "createdAt",
  emailVerified: "column:emailVerified",
};

let on: TestSystems;
beforeAll(async () => {
  on = await openTestSystems({
    load: (url) =>
      connected(url, async (client) => {
        await client.query(`${tables};${view}`);
      }),
  });
});
afterAll(() => on.close());

test("the view of docs/settings.md carries a digest of another table, and takes the link", async () => {
  await on.restartWith(config);
  const { users } = await on.plan(config);
  expect(users.map(({ userId, verdict }) => [userId, verdict])).toEqual([["u1", "create"]]);
  for (const { declared } of users) if (declared !== null) await ensureUser(on.systems, declared);

  expect(on.live("u1")?.password?.hasher).toBe("bcrypt");
  const [row] = await rowsOf<{ clerk_user_id: string | null }>(on.database.url, 'select * from "user"');
  expect(row?.clerk_user_id).toBe(on.live("u1")?.id);
});
