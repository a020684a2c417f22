import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { ensureNotification } from "../../../providers/notification/lifecycle";
import { describePlan } from "../../../providers/plan-text";
import { readNotification } from "../../../providers/postgres/ledger-notifications";
import { openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;
const columns = { bannedColumn: "is_banned", deletedColumn: "deleted_at" };

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
  await on.query("alter table users add column is_banned boolean, add column deleted_at timestamptz");
  await on.restartWith(columns);
  await ensureUser(on.systems, await on.declared(userId, columns));
});
afterEach(() => on.close());

const shutOut = {
  banned: () => on.query("update users set is_banned = true where user_id = $1", [userId]),
  deleted: () => on.query("update users set deleted_at = now() where user_id = $1", [userId]),
};
const letIn = () =>
  on.query("update users set is_banned = null, deleted_at = null where user_id = $1", [userId]);
const sarah = async (changes: Readonly<Record<string, string>> = {}) =>
  (await on.plan({ ...columns, ...changes })).users.find((user) => user.userId === userId);
const entry = () => readNotification(on.systems.database, on.migration, { userId, number: 0 });
const open = () =>
  [...on.clerk.store.invitations.values()].filter(({ status }) => status === "pending").length;
const outbox = () => on.clerk.store.outbox.length;

describe.each(["banned", "deleted"] as const)(
  "whoever is %s in the application after the migration",
  (how) => {
    test("is not told, and the verdict says so", async () => {
      await shutOut[how]();
      expect(await sarah()).toMatchObject({
        verdict: "unchanged",
        code: `held-${how}`,
        told: "never",
        notifications: [],
      });
      const text = describePlan(await on.plan(columns), on.settings(columns));
      expect(text).toContain("and may still sign in with Clerk");
    });

    test("is not told by a run that had announced it before", async () => {
      const announced = await on.notification(userId, columns);
      await shutOut[how]();
      const outputs = await ensureNotification(on.systems, announced);
      expect(outputs.status).toBe("failed");
      expect(outputs.reason).toContain("was banned or deleted in the application since this run began");
      expect(outbox()).toBe(0);
    });

    test("loses the link that is open, gets no reminder, and is told again once let in", async () => {
      await ensureNotification(on.systems, await on.notification(userId, columns));
      await on.query("update clerk_migration.notifications set sent_at = sent_at - interval '9 days'");
      await shutOut[how]();
      const reminding = { remindAfterDays: "3", maxReminders: "2" };
      const planned = await sarah(reminding);
      expect(planned).toMatchObject({ told: "never", takesBack: true, notifications: [{ maySend: false }] });
      for (const mail of planned?.notifications ?? []) await ensureNotification(on.systems, mail);
      expect(open()).toBe(0);
      expect(await entry()).toMatchObject({ status: "revoked" });

      expect(await sarah(reminding)).toMatchObject({ told: "never", takesBack: false, notifications: [] });
      expect(outbox()).toBe(1);

      await letIn();
      expect(await sarah()).toMatchObject({ code: "held", told: "now" });
      await ensureNotification(on.systems, await on.notification(userId, columns));
      expect([open(), outbox()]).toEqual([1, 2]);
    });
  },
);
