import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../providers/clerk-user/rollback";
import { messageOf } from "../../providers/errors";
import { sweep } from "../../providers/migration/lifecycle";
import { ensureNotification, takeBack } from "../../providers/notification/lifecycle";
import { sampleUsers } from "../../sandbox/sample-users";
import { holds } from "../holds";
import { openTestSystems, type TestSystems } from "../systems";

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
});
afterEach(() => on.close());

/** Every row of every table of the ledger, as text. */
async function dump(): Promise<string> {
  const tables = await on.query<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'clerk_migration'",
  );
  expect(tables.map(({ name }) => name).sort()).toEqual([
    "events",
    "mails",
    "migrations",
    "notifications",
    "retired_passwords",
    "runs",
    "steps",
    "users",
  ]);
  const rows = await Promise.all(
    tables.map(({ name }) => on.query<{ row: string }>(`select row::text from clerk_migration.${name} row`)),
  );
  return rows
    .flat()
    .map(({ row }) => row)
    .join("\n");
}

test("a run with failures and a rollback leave no digest, key, link, address or name in ledger, warning or error", async () => {
  // Every third user meets a failure of some kind.
  const taken = sampleUsers.find((user) => user.clerkUserId === null);
  const [stranger] = on.clerk.store.users.values();
  const address = stranger?.emailAddresses[0];
  if (taken === undefined || stranger === undefined || address === undefined) throw new Error("no sample");
  on.clerk.store.changeUser(stranger.id, { emailAddresses: [{ ...address, emailAddress: taken.email }] });
  const body = { errors: [{ code: "form_password_digest_invalid_code", message: "is invalid" }] };
  const text = `not for ${taken.email}`;
  const refusal = { errors: [{ code: "not_allowed_access", message: text, long_message: text }] };
  on.clerk.faults.add(
    { on: "POST /users", skip: 2, times: 2, effect: { type: "answer", status: 422, body } },
    { on: "POST /users", skip: 8, times: 2, effect: { type: "answer", status: 403, body: refusal } },
    { on: "POST /users", skip: 12, effect: { type: "truncated-json" } },
    { on: "POST /invitations", times: 2, effect: { type: "answer", status: 403, body: refusal } },
    { on: "POST /invitations", skip: 4, effect: { type: "truncated-json" } },
  );
  const errors: string[] = [];
  const note = (error: unknown) => {
    errors.push(messageOf(error), error instanceof Error ? messageOf(error.cause) : "");
    return undefined;
  };

  const made = [];
  for (const { declared, notifications } of (await on.plan()).users) {
    const [notification] = notifications;
    if (declared === null || notification === undefined) continue;
    const user = await ensureUser(on.systems, declared).catch(note);
    const mail = await ensureNotification(on.systems, notification).catch(note);
    made.push({ user, mail });
  }
  const afterUp = await dump();
  const links = [...on.clerk.store.invitations.values()].flatMap(({ url, ticket }) => [url, ticket]);
  expect(errors.length).toBeGreaterThan(0);
  expect(made.filter(({ user }) => user !== undefined).length).toBeGreaterThan(30);
  expect(links.length).toBeGreaterThan(50);
  for (const { user, mail } of made.slice(0, 10)) {
    if (mail !== undefined) await takeBack(on.systems, mail);
    if (user !== undefined) await deleteUser(on.systems, user);
  }
  await sweep(on.systems, on.migration);

  const said = [...errors, ...on.warnings].join("\n");
  const outputs = JSON.stringify(made);
  const secrets = [on.clerk.secretKey, ...links, ...sampleUsers.map(({ passwordDigest }) => passwordDigest)];
  const people = sampleUsers.flatMap(({ email, name }) => [email, name?.trim()]);
  const found = (texts: string, values: readonly (string | null | undefined)[]) =>
    values.filter((value) => value && holds(texts, value));
  expect(found(afterUp + (await dump()) + said, [...secrets, ...people])).toEqual([]);
  // State holds address and name, encrypted; never these.
  expect(found(outputs, secrets)).toEqual([]);
});
