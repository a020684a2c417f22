import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { connected } from "../../sandbox/postgres";
import { openTestSystems, type TestSystems } from "../systems";
import { rowsOf } from "./the-case";

const readCase = (name: string) => readFileSync(join(import.meta.dirname, `${name}.sql`), "utf8");
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
const open = async (sql: string) => {
  on = await openTestSystems({
    load: (url) =>
      connected(url, async (client) => {
        await client.query(sql);
      }),
  });
};
afterEach(() => on.close());

async function up(settings: Readonly<Record<string, string>> = {}): Promise<void> {
  await on.restartWith(settings);
  const { users } = await on.plan(settings);
  for (const { declared } of users) if (declared !== null) await ensureUser(on.systems, declared);
}

test("the view of docs/settings.md carries a digest of another table, and takes the link", async () => {
  await open(`${readCase("f17-better-auth-account")};${view}`);
  await up(config);

  expect(on.live("u1")?.password?.hasher).toBe("bcrypt");
  const [row] = await rowsOf<{ clerk_user_id: string | null }>(on.database.url, 'select * from "user"');
  expect(row?.clerk_user_id).toBe(on.live("u1")?.id);
});

test("a view over two tables takes the link through its trigger", async () => {
  await open(readCase("f20-view-instead-of-update"));
  await up();

  expect(on.live("1")?.password?.hasher).toBe("bcrypt");
  const [row] = await rowsOf<{ clerk_user_id: string | null }>(on.database.url, "select * from people");
  expect(row?.clerk_user_id).toBe(on.live("1")?.id);
});
