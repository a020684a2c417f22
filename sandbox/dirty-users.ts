import { createHash } from "node:crypto";

import { clerkUser } from "./clerk/new-user";
import type { Store } from "./clerk/server";
import { connected } from "./postgres";

/** One row of a table as they are found: grown over years, typed by people, imported from elsewhere. */
export interface DirtyUser {
  readonly id: number;
  readonly mail: string | null;
  readonly full_name: string | null;
  readonly pw: string | null;
  readonly clerk_id: string | null;
  readonly signed_up: string | null;
  readonly deleted_at: string | null;
  readonly mail_confirmed: boolean;
}

/** The settings that lead to the columns of this table: the worked example of docs/settings.md. */
export const dirtyTable = {
  usersTable: "app.accounts",
  userIdColumn: "id",
  emailColumn: "mail",
  nameColumn: "full_name",
  passwordHashColumn: "pw",
  clerkUserIdColumn: "clerk_id",
  createdAtColumn: "signed_up",
  deletedColumn: "deleted_at",
  emailVerified: "column:mail_confirmed",
} as const;

const BCRYPT = "$2b$10$sM4bTp4pGmkfRzNDrZSfkeQxJvKQm3W0lX8p7p0o5t8tW1mCwUe2a";
const DJANGO = "pbkdf2_sha256$600000$mVx3GqS5yTpB$Zl8m1pYcHk0iUq2Jx4o6T8vN3bW5dE7fA9gC1hR0sQk=";
const ARGON2ID = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";

const DOMAIN = "mail.ampdial.com";

type Dirt = (id: number, clean: DirtyUser) => Partial<DirtyUser>;

/** What is wrong with every so-maniest row; the first that applies. The other rows are clean. */
const dirt: readonly (readonly [every: number, offset: number, make: Dirt])[] = [
  [11, 3, (id) => ({ mail: `User${id.toString()}@${DOMAIN.toUpperCase()}` })],
  [17, 5, (id) => ({ mail: `  user${id.toString()}@${DOMAIN} ` })],
  [29, 7, (id) => ({ mail: `USER${(id - 1).toString()}@${DOMAIN}` })],
  [31, 8, () => ({ mail: "" })],
  [37, 9, (id) => ({ mail: `user${id.toString()}@${DOMAIN.replace(".com", "")}@home` })],
  [41, 10, (id) => ({ mail: `jürgen${id.toString()}@${DOMAIN}` })],
  [43, 12, (id) => ({ mail: `user${id.toString()}\u200b@${DOMAIN}` })],
  [47, 13, (id) => ({ mail: `qa${id.toString()}@ampdial.test` })],
  [13, 6, () => ({ pw: null })],
  [23, 4, () => ({ pw: DJANGO })],
  [53, 14, () => ({ pw: ARGON2ID })],
  [59, 15, () => ({ pw: createHash("sha1").update("legacy").digest("hex") })],
  [61, 16, () => ({ pw: BCRYPT.replace("$10$", "$04$") })],
  [19, 2, () => ({ full_name: "Cher" })],
  [67, 18, () => ({ full_name: null })],
  [71, 19, () => ({ full_name: "Wolfeschlegelstein ".repeat(20) })],
  [73, 20, () => ({ signed_up: "2999-01-01T00:00:00Z" })],
  [79, 21, () => ({ signed_up: null })],
  [37, 22, () => ({ deleted_at: "2024-05-06T07:08:09Z" })],
  [31, 24, (id) => ({ clerk_id: `user_earlier${id.toString()}` })],
  [97, 25, (id) => ({ clerk_id: `user_deleted${id.toString()}` })],
  [9, 1, () => ({ mail_confirmed: false })],
];

/** The same rows every time. */
export function dirtyUsers(count: number): DirtyUser[] {
  return Array.from({ length: count }, (_, index) => {
    const id = index + 1;
    const clean: DirtyUser = {
      id,
      mail: `user${id.toString()}@${DOMAIN}`,
      full_name: "Ada Lovelace",
      pw: BCRYPT,
      clerk_id: null,
      signed_up: new Date(Date.UTC(2019, 0, 1) + id * 7_919_017).toISOString(),
      deleted_at: null,
      mail_confirmed: true,
    };
    const spoil = dirt.find(([every, offset]) => id % every === offset)?.[2];
    return { ...clean, ...spoil?.(id, clean) };
  });
}

/** Fills an empty database with them. */
export async function loadDirty(databaseUrl: string, count: number): Promise<void> {
  await connected(databaseUrl, async (client) => {
    await client.query(
      `create schema app;
       create table app.accounts (
         id integer primary key, mail text, full_name text, pw text, clerk_id text unique,
         signed_up timestamptz, deleted_at timestamptz, mail_confirmed boolean not null
       )`,
    );
    await client.query(
      "insert into app.accounts select * from json_populate_recordset(null::app.accounts, $1::json)",
      [JSON.stringify(dirtyUsers(count))],
    );
  });
}

/** Whom Clerk has already: the linked ones, and a few who signed up there as well. */
export function addDirtyClerkUsers(store: Store, count: number): void {
  for (const { id, clerk_id } of dirtyUsers(count)) {
    const email = `user${id.toString()}@${DOMAIN}`;
    if (clerk_id !== null && clerk_id.startsWith("user_earlier"))
      store.putUser(clerkUser({ id: clerk_id, email }));
    else if (id % 83 === 40) store.putUser(clerkUser({ id: `user_own${id.toString()}`, email }));
    else if (id % 89 === 50) {
      const elsewhere = { id: `user_script${id.toString()}`, email: `script${id.toString()}@${DOMAIN}` };
      store.putUser(clerkUser({ ...elsewhere, externalId: id.toString() }));
    }
  }
}
