import { randomBytes } from "node:crypto";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { judgeLegacyOff } from "../../providers/gate";
import { ensureNotification } from "../../providers/notification/lifecycle";
import { makePlan } from "../../providers/plan";
import { readRetired } from "../../providers/postgres/ledger-retired";
import { ensureRetired } from "../../providers/retired-password/lifecycle";
import { parseSealKey } from "../../providers/retired-password/seal";
import { signIn } from "../../sandbox/clerk/sign-in";
import type { SampleUser } from "../../sandbox/sample-users";
import { MARCUS, openTestSystems, SARAH, STACK, type TestSystems } from "../systems";
import { runCommand } from "./run-command";

const KEY = randomBytes(32).toString("base64");
const NEW_KEY = randomBytes(32).toString("base64");

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
  await on.restart({ digestSealKey: KEY });
});
afterEach(() => on.close());

async function migrate(...users: readonly SampleUser[]): Promise<void> {
  for (const { userId, email, password } of users) {
    await ensureUser(on.systems, await on.declared(userId));
    await ensureNotification(on.systems, await on.notification(userId));
    await signIn(on.clerk.issuer, { identifier: email, password });
  }
}

/** Migrated, arrived, and without a digest in the table. */
async function retireSarah(): Promise<void> {
  await ensureUser(on.systems, await on.declared(SARAH.userId));
  await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
  const plan = await on.plan({ retirePasswords: "arrived", retireAfterDays: "0" }, { DIGEST_SEAL_KEY: KEY });
  const inputs = plan.users.find(({ userId }) => userId === SARAH.userId)?.retirement;
  if (inputs == null) throw new Error("The plan retires nothing.");
  await ensureRetired(on.systems, inputs);
}
const status = async () => (await readRetired(on.systems.database, on.migration, SARAH.userId))?.status;

describe("gate --for legacy-off", () => {
  const gate = () => runCommand(on, "gate", ["--for", "legacy-off", "--json"]);
  const answerSchema = z.object({
    answer: z.string(),
    findings: z.array(z.object({ check: z.string(), status: z.string(), sentence: z.string() })),
  });

  test("says no while somebody would be locked out, and whom that concerns", async () => {
    for (const { userId } of [SARAH, MARCUS]) await ensureUser(on.systems, await on.declared(userId));
    await ensureNotification(on.systems, await on.notification(SARAH.userId));
    await signIn(on.clerk.issuer, { identifier: MARCUS.email, password: MARCUS.password });

    const run = await gate();
    expect(run.exitCode).toBe(1);
    const { answer, findings } = answerSchema.parse(JSON.parse(run.printed));
    expect(answer).toBe("no");
    const sentence = (check: string) => findings.find((found) => found.check === check)?.sentence;
    expect(sentence("gate/stragglers")).toBe(
      `1 of 2 migrated users have not signed in with Clerk, 1 of them were told: ${SARAH.userId}.`,
    );
    expect(sentence("gate/remaining")).toContain(
      "37 users who are not migrated can sign in at the old door: 34 not taken on yet; 3 linked already, not by this stack: ",
    );
    expect(sentence("gate/mails")).toContain("not told");
    expect(run.output).not.toContain(SARAH.email);
  });

  test("says yes when nothing stands against it, and cannot tell where the state cannot be read", async () => {
    await on.query("update users set password_hash = null where user_id not in ($1, $2)", [
      SARAH.userId,
      MARCUS.userId,
    ]);
    await migrate(SARAH, MARCUS);
    const run = await runCommand(on, "gate", ["--for", "legacy-off"]);
    // There is no stack with a state here: everything else is fine.
    expect(run.exitCode, run.output).toBe(2);
    expect(run.printed).toContain("All 2 migrated users have signed in with Clerk.");
    expect(run.printed).toContain("1 checks of verify do not hold: verify/state.");
    expect(run.printed).toContain("The old login may be closed: unknown.");
  });

  test.each([
    ["domains", { domains: "ampdial.com" }, {}, "not selected by emails, domains or where"],
    ["where", { where: "false" }, {}, "not selected by emails, domains or where"],
    ["emails", { emails: SARAH.email }, {}, "not selected by emails, domains or where"],
    ["limit", { limit: "1" }, {}, "beyond limit or percent"],
    ["percent", { percent: "1" }, {}, "beyond limit or percent"],
    ["exclude", { exclude: MARCUS.email }, {}, "left out by exclude"],
    ["a skip", {}, { [MARCUS.userId]: { skip: "later" } }, "skipped by a decision"],
  ])("counts whoever is left out by %s: they sign in at the old door", (_, config, decisions, reason) => {
    return leftOut(config, decisions, reason);
  });

  async function leftOut(
    config: Readonly<Record<string, string>>,
    decisions: Readonly<Record<string, unknown>>,
    reason: string,
  ): Promise<void> {
    await on.query("update users set password_hash = null where user_id not in ($1, $2)", [
      SARAH.userId,
      MARCUS.userId,
    ]);
    await migrate(SARAH);
    on.decide(decisions);
    const judged = async (leaveBehind?: number) => {
      const world = await on.world(config);
      const plan = makePlan(world, on.settings(config));
      const clerkUsers = await on.systems.clerk.allUsers();
      const evidence = {
        world,
        plan,
        clerkUsers,
        references: [],
        canaries: [],
        isLedgerThere: true,
        inState: null,
      };
      return judgeLegacyOff(evidence, leaveBehind).find(({ check }) => check === "gate/remaining");
    };
    expect(await judged()).toMatchObject({
      status: "problem",
      sentence: `1 users who are not migrated can sign in at the old door: 1 ${reason}: ${MARCUS.userId}.`,
    });
    expect(await judged(1)).toMatchObject({ status: "ok" });
    on.decide({ [MARCUS.userId]: { leave: "has moved on" } });
    expect(await judged()).toMatchObject({ status: "ok" });
  }

  test("names the gate that is known", async () => {
    const run = await runCommand(on, "gate");
    expect(run).toMatchObject({ exitCode: 1, printed: "" });
    expect(run.output).toContain("Say --for legacy-off.");
  });
});

describe("purge", () => {
  const now = { config: { purgeAfterDays: "0" } };

  test("shows what it would delete, deletes nothing without the stack's name, and then does so once", async () => {
    await retireSarah();
    expect((await runCommand(on, "purge")).printed).toBe(
      `No sealed digest of ${STACK} is older than 30 days.\n`,
    );

    const dry = await runCommand(on, "purge", ["--dry-run"], now);
    expect(dry).toMatchObject({ exitCode: 0 });
    expect(dry.printed).toContain(`1 sealed digest of ${STACK} older than 0 days: ${SARAH.userId}.`);
    for (const args of [[], ["--confirm", "another"]]) {
      const refused = await runCommand(on, "purge", args, now);
      expect(refused.exitCode).toBe(1);
      expect(refused.output).toContain("nothing is deleted");
    }
    expect(await status()).toBe("retired");

    // The lock is this process's as long as its systems are open.
    await on.restart({ digestSealKey: KEY });
    const done = await runCommand(on, "purge", ["--confirm", STACK], now);
    expect(done.exitCode, done.output).toBe(0);
    expect(await status()).toBe("purged");
    expect((await runCommand(on, "purge", ["--confirm", STACK], now)).printed).toContain("No sealed digest");
  });
});

describe("rotate-seal-key", () => {
  const rotate = (from: string, to: string) =>
    runCommand(on, "rotate-seal-key", [], {
      environment: { DIGEST_SEAL_KEY: from, DIGEST_SEAL_KEY_NEW: to },
    });

  test("moves everything to the new key, repeats nothing of either, and may be run again", async () => {
    await retireSarah();
    await on.restart();
    const run = await rotate(KEY, NEW_KEY);
    expect(run.exitCode, run.output).toBe(0);
    expect(run.printed).toContain(`Sealed 1 digest anew with the key ${parseSealKey(NEW_KEY).id}.`);
    for (const key of [KEY, NEW_KEY]) expect(run.output).not.toContain(key);
    expect((await readRetired(on.systems.database, on.migration, SARAH.userId))?.keyId).toBe(
      parseSealKey(NEW_KEY).id,
    );
    expect((await rotate(KEY, NEW_KEY)).printed).toContain("Sealed 0 digests anew");
  });

  test("refuses where a key is missing, is the same, or is not the one that sealed", async () => {
    await retireSarah();
    await on.restart();
    expect((await rotate(KEY, "")).output).toContain("DIGEST_SEAL_KEY_NEW is not set");
    expect((await rotate(KEY, KEY)).output).toContain("are the same key");
    const other = await rotate(randomBytes(32).toString("base64"), NEW_KEY);
    expect(other.exitCode).toBe(1);
    expect(other.output).toContain("1 digest sealed with neither of the two keys.");
  });
});
