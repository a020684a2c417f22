import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ClerkUser } from "../../../providers/clerk/user";
import { eraseUser } from "../../../providers/clerk-user/erase";
import type { ClerkUserOutputs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { readUser } from "../../../providers/postgres/ledger-users";
import { clerkUser } from "../../../sandbox/clerk/new-user";
import { MIGRATION_ID, openTestSystems, SARAH, STACK, type TestSystems } from "../../systems";

const { userId } = SARAH;
const mark = { migration: MIGRATION_ID };

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
});
afterEach(() => on.close());

const ledger = () => readUser(on.systems.database, on.migration, userId);
const changeLedger = (set: string) =>
  on.query(`update clerk_migration.users set ${set} where user_id = $1`, [userId]);

test("only one function of the whole program deletes a Clerk user", () => {
  const root = join(__dirname, "../../..");
  const callers = ["providers", "commands", "examples", "index.ts"]
    .flatMap((top) =>
      top.endsWith(".ts")
        ? [top]
        : readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((file) => join(top, file)),
    )
    .filter((file) => file.endsWith(".ts") && !file.includes("node_modules"))
    .filter((file) =>
      /\.deleteUser\(|"DELETE", userPath|DELETE \/users/.test(readFileSync(join(root, file), "utf8")),
    );
  expect(callers.sort()).toEqual(["providers/clerk-user/erase.ts", "providers/clerk/client.ts"]);
});

describe("deleting a Clerk user", () => {
  let outputs: ClerkUserOutputs;
  let live: ClerkUser;
  beforeEach(async () => {
    outputs = await ensureUser(on.systems, await on.declared(userId));
    const found = await on.systems.clerk.user(outputs.clerkUserId);
    if (found === undefined) throw new Error("nobody was made");
    live = found;
  });
  const erase = () => eraseUser(on.systems, { ...on.migration, stacks: new Set([STACK]) }, userId, live);

  test("goes through for one whom this program has made, and again for nobody", async () => {
    await erase();
    expect(on.live(userId)).toBeUndefined();
    await erase();
    expect(on.written()).toEqual(["POST /users", "DELETE /users/{user_id}"]);
  });

  test.each<[string, string, () => unknown]>([
    ["whom the ledger calls adopted", "erase-adopted", () => changeLedger("origin = 'adopted'")],
    [
      "whom the mark calls adopted",
      "erase-adopted",
      () =>
        on.clerk.store.changeUser(live.id, {
          privateMetadata: { clerk_migration: { ...mark, adopted: true } },
        }),
    ],
    ["without our mark", "erase-unproven", () => on.clerk.store.changeUser(live.id, { privateMetadata: {} })],
    [
      "with another external id",
      "erase-unproven",
      () => on.clerk.store.changeUser(live.id, { externalId: "other" }),
    ],
    [
      "who has signed in since the caller looked",
      "signed-in",
      () => on.clerk.store.changeUser(live.id, { lastSignInAt: 1_700_000_000_000 }),
    ],
  ])("is refused for one %s by then", async (_, code, change) => {
    await change();
    await expect(erase()).rejects.toMatchObject({ code });
    expect(on.written()).toEqual(["POST /users"]);
  });

  test.each([
    ["a page instead of an answer", "<html>welcome</html>"],
    ["an empty object", {}],
    ["an answer about somebody else", { object: "user", id: "user_other", deleted: true }],
    ["an answer that denies it", { object: "user", deleted: false }],
  ])("is done only when Clerk has said so: %s is asked again", async (_, body) => {
    on.clerk.faults.add({ on: "DELETE /users/{user_id}", effect: { type: "answer", status: 200, body } });
    await deleteUser(on.systems, outputs);
    expect(on.live(userId)).toBeUndefined();
    expect(await ledger()).toMatchObject({ status: "rolled_back" });
  });

  test.each([204, 404] as const)(
    "is not recorded where something else than Clerk answers with %s",
    async (status) => {
      const effect = { type: "answer", status, ...(status === 204 ? { body: "" } : {}) } as const;
      on.clerk.faults.add({ on: "DELETE /users/{user_id}", times: 10, effect });
      await expect(deleteUser(on.systems, outputs)).rejects.toThrow("Clerk");
      expect(on.live(userId)).toBeDefined();
      expect(await ledger()).toMatchObject({ status: "unlinking" });

      on.clerk.faults.clear();
      await deleteUser(on.systems, outputs);
      expect(on.live(userId)).toBeUndefined();
    },
    30_000,
  );

  test("is done where the answers are lost, and a look-up finds nobody", async () => {
    const effect = { type: "answer", status: 200, body: {}, committed: true } as const;
    on.clerk.faults.add({ on: "DELETE /users/{user_id}", times: 10, effect });
    await deleteUser(on.systems, outputs);
    expect(await ledger()).toMatchObject({ status: "rolled_back" });
  }, 30_000);
});

describe("a rollback that was cut off, repeated,", () => {
  const hers = { ...clerkUser({ id: "user_sarah", email: SARAH.email }), privateMetadata: { theirs: true } };
  const adopted = async () => {
    on.clerk.store.putUser(hers);
    return ensureUser(on.systems, await on.declared(userId, { existing: "adopt" }));
  };
  const isThere = () => on.clerk.store.users.has("user_sarah");

  test("never deletes an adopted account whose mark was taken away in between", async () => {
    const outputs = await adopted();
    await on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
    await changeLedger("status = 'unlinking'");
    on.clerk.store.changeUser("user_sarah", { privateMetadata: { theirs: true } });

    await ensureUser(on.systems, await on.declared(userId, { existing: "adopt" }));
    expect(await ledger()).toMatchObject({ status: "linked", origin: "adopted" });
    expect(on.clerk.store.users.get("user_sarah")?.privateMetadata).toMatchObject({
      clerk_migration: { adopted: true },
    });

    await deleteUser(on.systems, outputs);
    expect(isThere()).toBe(true);
    expect(on.written()).not.toContain("DELETE /users/{user_id}");
  });

  test.each([
    ["the ledger calls created", () => changeLedger("origin = 'created'")],
    ["the ledger has lost", () => on.query("delete from clerk_migration.users")],
    [
      "has lost its mark, and with it what the mark says",
      () => {
        on.clerk.store.changeUser("user_sarah", { privateMetadata: { theirs: true } });
        return Promise.resolve();
      },
    ],
  ])("never deletes an adopted account that %s", async (_, lose) => {
    const outputs = await adopted();
    await lose();
    await deleteUser(on.systems, outputs);
    expect(isThere()).toBe(true);
    expect(on.clerk.store.users.get("user_sarah")?.privateMetadata).toEqual({ theirs: true });
  });
});
