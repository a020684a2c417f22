import { randomBytes } from "node:crypto";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { rollBackUser } from "../../../providers/clerk-user/rollback";
import { sweep } from "../../../providers/migration/lifecycle";
import { describePlan } from "../../../providers/plan-text";
import {
  purgeable,
  purgeDigests,
  readRetired,
  resealDigests,
} from "../../../providers/postgres/ledger-retired";
import { recordArrivals } from "../../../providers/postgres/ledger-runs";
import { readUser } from "../../../providers/postgres/ledger-users";
import { fingerprintOf } from "../../../providers/postgres/legacy-users";
import type { RetiredPasswordInputs } from "../../../providers/retired-password/inputs";
import { differs } from "../../../providers/retired-password/inputs";
import { ensureRetired, restorePassword } from "../../../providers/retired-password/lifecycle";
import { parseSealKey, requireKey, seal, unseal } from "../../../providers/retired-password/seal";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { MARCUS, openTestSystems, SARAH, STACK, type TestSystems } from "../../systems";

const { userId } = SARAH;
const KEY = randomBytes(32).toString("base64");
const OTHER_KEY = randomBytes(32).toString("base64");
const retireNow = { retirePasswords: "arrived", retireAfterDays: "0" };

describe("a sealed digest", () => {
  const key = parseSealKey(KEY);

  test("opens for its user with its key, and for nobody else", () => {
    const sealed = seal(key, userId, "$2b$10$digest");
    expect(sealed.toString("latin1")).not.toContain("digest");
    expect(unseal(key, userId, sealed)).toBe("$2b$10$digest");
    expect(() => unseal(key, MARCUS.userId, sealed)).toThrow("does not open with the key");
    expect(() => unseal(parseSealKey(OTHER_KEY), userId, sealed)).toThrow("does not open with the key");
    sealed[20] = (sealed[20] ?? 0) ^ 1;
    expect(() => unseal(key, userId, sealed)).toThrow(`User ${userId}`);
    expect(seal(key, userId, "x").equals(seal(key, userId, "x"))).toBe(false);
  });

  test.each([undefined, "", "c2hvcnQ=", `${KEY}x`, "not base64 at all"])(
    "%s is no key, and is not repeated",
    (text) => {
      let message = "";
      try {
        parseSealKey(text);
      } catch (error) {
        message = error instanceof Error ? error.message : "";
      }
      expect(message).toContain("openssl rand -base64 32");
      if (text) expect(message).not.toContain(text);
    },
  );
});

describe("retiring", () => {
  let on: TestSystems;
  beforeEach(async () => {
    on = await openTestSystems();
    await on.restart({ digestSealKey: KEY });
    await ensureUser(on.systems, await on.declared(userId));
  });
  afterEach(() => on.close());

  const arrive = (user = SARAH) =>
    signIn(on.clerk.issuer, { identifier: user.email, password: user.password });
  const planned = async (changes: Readonly<Record<string, string>> = retireNow) => {
    const plan = await on.plan(changes, { DIGEST_SEAL_KEY: KEY });
    const user = plan.users.find((one) => one.userId === userId);
    return { retire: user?.retire, inputs: user?.retirement ?? null, plan };
  };
  const inputs = async (): Promise<RetiredPasswordInputs> => {
    const { retire, inputs: declared } = await planned();
    if (declared === null) throw new Error(`The plan retires nothing: ${retire ?? "no such user"}.`);
    return declared;
  };
  const retire = async () => ensureRetired(on.systems, await inputs());
  const digest = async () =>
    (
      await on.query<{ hash: string | null }>("select password_hash as hash from users where user_id = $1", [
        userId,
      ])
    )[0]?.hash;
  const entry = () => readRetired(on.systems.database, on.migration, userId);
  const rollBack = async () => {
    const held = await readUser(on.systems.database, on.migration, userId);
    if (held === undefined) throw new Error("nobody is held");
    await rollBackUser(on.systems, await on.systems.writer(on.migration), held);
  };

  test("seals the digest of whoever has arrived, once, and the next plan sees no difference", async () => {
    await arrive();
    const outputs = await retire();

    expect(await digest()).toBeNull();
    expect(await entry()).toMatchObject({ status: "retired", keyId: parseSealKey(KEY).id });
    const dump = await on.query<{ row: string }>(
      "select row::text from clerk_migration.retired_passwords row",
    );
    expect(JSON.stringify([outputs, dump, on.warnings])).not.toContain(SARAH.passwordDigest);
    expect(JSON.stringify([outputs, dump])).not.toContain(KEY);

    const again = await planned();
    expect(again.retire).toBe("retired");
    expect(again.inputs === null || differs(outputs, again.inputs)).toBe(false);
    expect(again.plan.users.find((one) => one.userId === userId)?.verdict).toBe("unchanged");
    const before = await snapshotDatabase(on.database.url);
    await retire();
    expect(describeDifference(before, await snapshotDatabase(on.database.url))).toEqual([]);
  });

  test("stays declared when the setting is off or the gate has closed again", async () => {
    await arrive();
    const outputs = await retire();
    const off = await planned({});
    expect(off.retire).toBe("retired");
    expect(off.inputs === null || differs(outputs, off.inputs)).toBe(false);
  });

  test("waits for the first sign-in, and as long after it as the stack says, whatever happens later", async () => {
    expect((await planned()).retire).toBe("not-arrived");
    await arrive();
    const week = { ...retireNow, retireAfterDays: "7" };
    expect((await planned(week)).retire).toBe("too-recent");
    await recordArrivals(on.systems.database, on.migration, (await on.world()).arrivals);
    await on.query("update clerk_migration.users set arrived_at = arrived_at - interval '8 days'");
    await arrive();
    await recordArrivals(on.systems.database, on.migration, (await on.world()).arrivals);
    expect((await planned(week)).retire).toBe("now");
    expect(describePlan((await planned(week)).plan, on.settings(week, { DIGEST_SEAL_KEY: KEY }))).toContain(
      "Digests: 1 to be sealed and taken out of the table, 0 are out already",
    );
  });

  test("leaves banned users, and everybody while a canary cannot sign in, as they are", async () => {
    await arrive();
    const live = on.live(userId);
    on.clerk.store.changeUser(live?.id ?? "", { banned: true });
    expect((await planned()).retire).toBe("banned");
    on.clerk.store.changeUser(live?.id ?? "", { banned: false });
    process.env.CANARY_EMAIL = SARAH.email;
    process.env.CANARY_PASSWORD = "wrong";
    try {
      const { retire: found, plan } = await planned();
      expect(found).toBe("canary");
      expect(plan.findings.find(({ check }) => check === "retire/canary")).toMatchObject({
        status: "problem",
      });
      process.env.CANARY_PASSWORD = SARAH.password;
      expect((await planned()).retire).toBe("now");
    } finally {
      delete process.env.CANARY_EMAIL;
      delete process.env.CANARY_PASSWORD;
    }
  });

  describe("refuses with a sentence, and changes nothing, where", () => {
    test.each<[string, () => Promise<unknown>, string]>([
      [
        "the digest has changed since the plan",
        () =>
          on.query("update users set password_hash = $1 where user_id = $2", [MARCUS.passwordDigest, userId]),
        "the digest has changed since the run was planned",
      ],
      [
        "the row is linked to somebody else",
        () => on.query("update users set clerk_user_id = 'user_other' where user_id = $1", [userId]),
        "the row's link is not the one of this stack",
      ],
      [
        "the user is banned",
        () => Promise.resolve(on.clerk.store.changeUser(on.live(userId)?.id ?? "", { banned: true })),
        "the user is banned in Clerk",
      ],
      ["there is no key", () => on.restart(), "DIGEST_SEAL_KEY is not set"],
    ])("%s", async (_, change, sentence) => {
      await arrive();
      const declared = await inputs();
      await change();
      const before = await digest();
      await expect(ensureRetired(on.systems, declared)).rejects.toThrow(sentence);
      expect(await digest()).toBe(before);
      expect(await entry()).toMatchObject({ status: "refused" });
    });
  });

  test("is announced as impossible where the column cannot be null", async () => {
    await on.query(
      "delete from users where password_hash is null and user_id not in (select user_id from prompts)",
    );
    await on.query("update users set password_hash = 'x' where password_hash is null");
    await on.query("alter table users alter column password_hash set not null");
    const finding = async (changes: Readonly<Record<string, string>>) =>
      (await planned(changes)).plan.findings.find(({ check }) => check === "database/retire");
    expect(await finding(retireNow)).toMatchObject({
      status: "problem",
      sentence: "password_hash of users cannot be null, so no digest can be retired.",
    });
    expect(await finding({})).toBeUndefined();
    await arrive();
    await expect(retire()).rejects.toThrow();
    expect(await digest()).toBe(SARAH.passwordDigest);
  });

  test("is tried again by the next run", async () => {
    await arrive();
    const declared = await inputs();
    await on.restart();
    await expect(ensureRetired(on.systems, declared)).rejects.toThrow("DIGEST_SEAL_KEY");
    await on.restart({ digestSealKey: KEY });
    await retire();
    expect(await digest()).toBeNull();
  });

  /** From now on, whatever is written into the digests' column is not there afterwards. */
  const keepDigests = () =>
    on.query(
      `create function keep() returns trigger language plpgsql as $$begin new.password_hash := old.password_hash; return new; end$$;
       create trigger keep before update on users for each row execute function keep()`,
    );

  test("is not recorded where a trigger keeps the digest in the row", async () => {
    await arrive();
    await keepDigests();
    await expect(retire()).rejects.toThrow("keeps its digest, so nothing was retired: a trigger");
    expect(await digest()).toBe(SARAH.passwordDigest);
    expect(await entry()).toMatchObject({ status: "refused", failure: { code: "digest-kept" } });
  });

  test("and back is not recorded where a trigger keeps the digest out: it stays sealed, and nobody is deleted", async () => {
    await arrive();
    await retire();
    await keepDigests();
    await on.restart({ digestSealKey: KEY, rollbackSignedIn: "delete" });
    await expect(rollBack()).rejects.toThrow("does not take its digest back, which stays sealed");
    expect(await entry()).toMatchObject({ status: "retired" });
    expect(on.live(userId)).toBeDefined();

    await on.query("drop trigger keep on users");
    await rollBack();
    expect(await digest()).toBe(SARAH.passwordDigest);
  });

  describe("and back", () => {
    beforeEach(async () => {
      await arrive();
      await retire();
    });
    const outputs = async () => ({ ...(await inputs()), keyId: "" });

    test("is refused for whoever has signed in, unless it is forced: then the digest is there byte for byte", async () => {
      await expect(restorePassword(on.systems, await outputs())).rejects.toMatchObject({ code: "signed-in" });
      await expect(rollBack()).rejects.toMatchObject({ code: "signed-in" });
      expect(await digest()).toBeNull();

      await on.restart({ digestSealKey: KEY, rollbackSignedIn: "delete" });
      await restorePassword(on.systems, await outputs());
      await rollBack();
      expect(await digest()).toBe(SARAH.passwordDigest);
      expect(await entry()).toMatchObject({ status: "restored", attempt: 2 });
      expect(await on.link(userId)).toBeNull();
    });

    test("happens with the user's own rollback where the state knows nothing of it", async () => {
      await on.restart({ digestSealKey: KEY, rollbackSignedIn: "unlink" });
      await sweep(on.systems, on.migration);
      expect(await digest()).toBe(SARAH.passwordDigest);
      expect(await on.link(userId)).toBeNull();
    });

    test("needs the key that sealed it: without it nothing is rolled back", async () => {
      await on.restart({ rollbackSignedIn: "delete" });
      await expect(rollBack()).rejects.toThrow("DIGEST_SEAL_KEY is not set");
      await on.restart({ digestSealKey: OTHER_KEY, rollbackSignedIn: "delete" });
      await expect(rollBack()).rejects.toThrow("the digest is sealed with the key");
      expect(await on.link(userId)).not.toBeNull();
      expect(on.live(userId)).toBeDefined();
    });

    test("leaves a newer digest that the application has set meanwhile", async () => {
      await on.query("update users set password_hash = 'newer' where user_id = $1", [userId]);
      await on.restart({ digestSealKey: KEY, rollbackSignedIn: "delete" });
      await rollBack();
      expect(await digest()).toBe("newer");
    });

    test("stops where the row is linked to somebody else by now", async () => {
      await on.query("update users set clerk_user_id = 'user_other' where user_id = $1", [userId]);
      await on.restart({ digestSealKey: KEY, rollbackSignedIn: "delete" });
      await expect(rollBack()).rejects.toThrow("the row is linked to user_other by now");
      expect(await digest()).toBeNull();
    });

    test("can be followed by retiring anew", async () => {
      await on.restart({ digestSealKey: KEY, rollbackSignedIn: "delete" });
      await rollBack();
      await ensureUser(on.systems, await on.declared(userId));
      await arrive();
      await retire();
      expect(await digest()).toBeNull();
      expect(await entry()).toMatchObject({ status: "retired", attempt: 2 });
    });

    test("ends where it is purged: that user is not rolled back, forced or not", async () => {
      const { database } = on.systems;
      expect(await purgeable(database, STACK, new Date(Date.now() - 86_400_000))).toEqual([]);
      expect(await purgeable(database, STACK, new Date(Date.now() + 1_000))).toEqual([userId]);
      expect(await purgeDigests(database, STACK, new Date(Date.now() + 1_000))).toBe(1);
      expect(await purgeDigests(database, STACK, new Date(Date.now() + 1_000))).toBe(0);

      await on.restart({ digestSealKey: KEY, rollbackSignedIn: "delete" });
      await expect(rollBack()).rejects.toThrow("the legacy digest has been purged");
      expect(on.live(userId)).toBeDefined();
      expect((await planned()).retire).toBe("purged");
      const events = await on.query<{ status: string }>(
        "select status from clerk_migration.events where subject = 'retired_passwords' order by event_id",
      );
      expect(events.map(({ status }) => status)).toEqual(["retired", "purged"]);
    });

    test("works with a new key once everything is sealed anew, and a second rotation changes nothing", async () => {
      const [from, to] = [parseSealKey(KEY), parseSealKey(OTHER_KEY)];
      const rotate = () =>
        resealDigests(on.systems.database, STACK, [from.id, to.id], (owner, sealed) =>
          seal(to, owner, unseal(from, owner, sealed)),
        );
      expect(await rotate()).toEqual({ resealed: 1, others: 0 });
      expect(await rotate()).toEqual({ resealed: 0, others: 0 });
      expect(() => {
        requireKey(to, userId, from.id);
      }).toThrow("npm run rotate-seal-key");
      await on.restart({ digestSealKey: OTHER_KEY, rollbackSignedIn: "delete" });
      await rollBack();
      expect(await digest()).toBe(SARAH.passwordDigest);
    });
  });

  test("the fingerprint that is declared is the one of the digest that was meant", async () => {
    await arrive();
    expect((await inputs()).digestFingerprint).toBe(fingerprintOf(userId, SARAH.passwordDigest ?? ""));
  });
});
