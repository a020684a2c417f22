import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ClerkUserOutputs } from "../../providers/clerk-user/inputs";
import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { differs } from "../../providers/notification/inputs";
import { ensureNotification } from "../../providers/notification/lifecycle";
import { makePlan } from "../../providers/plan";
import type { Plan } from "../../providers/planned";
import { readNotification, recordForgotten } from "../../providers/postgres/ledger-notifications";
import { readUser } from "../../providers/postgres/ledger-users";
import { legacyUsers, MIGRATION_ID, openTestSystems, SARAH, type TestSystems } from "../systems";

const { userId } = SARAH;

let on: TestSystems;
let inState: ClerkUserOutputs;
beforeEach(async () => {
  on = await openTestSystems();
  inState = await ensureUser(on.systems, await on.declared(userId));
  await ensureNotification(on.systems, await on.notification(userId));
  await on.query("drop schema clerk_migration cascade");
  await on.restart();
});
afterEach(() => on.close());

const sarahIn = ({ users }: Plan) => users.find((user) => user.userId === userId);
const entry = () => readNotification(on.systems.database, on.migration, { userId, number: 0 });
const outbox = () => on.clerk.store.outbox.length;

async function run(changes: Readonly<Record<string, string>> = {}) {
  // Of one world, as in a run: what a ledger has forgotten has the time in it.
  const world = await on.world(changes);
  const planned = sarahIn(makePlan(world, on.settings(changes)));
  // As the program of an `up` does before it declares anything.
  await on.systems.writer(on.migration);
  await recordForgotten(on.systems.database, on.migration, world.forgottenMails);
  if (planned?.declared == null) throw new Error("The plan leaves Sarah out.");
  await ensureUser(on.systems, planned.declared);
  const outputs = [];
  for (const mail of planned.notifications) outputs.push(await ensureNotification(on.systems, mail));
  return { planned, outputs };
}

describe("a ledger that is gone", () => {
  test("gets its migration id back from the marks of those who are linked", async () => {
    expect((await on.world()).migrationId).toBe(MIGRATION_ID);
  });

  test("takes up whom it has made, and finds the invitation instead of sending another", async () => {
    const wrote = on.written().length;

    const { planned, outputs } = await run();

    expect(planned).toMatchObject({ code: "made-already", told: "sent" });
    expect(outputs).toMatchObject([{ status: "sent" }]);
    expect(on.written()).toHaveLength(wrote);
    expect(outbox()).toBe(1);
    expect(await readUser(on.systems.database, on.migration, userId)).toMatchObject({ status: "linked" });
    expect(await entry()).toMatchObject({ status: "sent", credentialId: outputs[0]?.credentialId });

    const again = sarahIn(await on.plan());
    expect(again).toMatchObject({ verdict: "unchanged", told: "sent" });
    const [mail, ...more] = again?.notifications ?? [];
    expect(more).toEqual([]);
    expect(mail === undefined || outputs[0] === undefined || differs(outputs[0], mail)).toBe(false);
    expect(on.written()).toHaveLength(wrote);
  });

  test("tells whoever has another address by now at that one, and takes the old link back", async () => {
    await on.query("update users set email = 'moved@ampdial.com' where user_id = $1", [userId]);
    const { planned, outputs } = await run();
    expect(planned).toMatchObject({ told: "again" });
    expect(outputs).toMatchObject([{ status: "sent" }]);
    expect(outbox()).toBe(2);
    const open = [...on.clerk.store.invitations.values()].filter(({ status }) => status === "pending");
    expect(open.map(({ emailAddress }) => emailAddress)).toEqual(["moved@ampdial.com"]);
  });

  test("applies what has changed in the row meanwhile, the password only where the state says which one Clerk has", async () => {
    const digest = legacyUsers[2]?.passwordDigest;
    const before = on.live(userId)?.password;
    await on.query("update users set name = 'Grace Hopper', password_hash = $2 where user_id = $1", [
      userId,
      digest,
    ]);
    const declared = await on.declared(userId);
    await ensureUser(on.systems, declared);
    expect(on.live(userId)).toMatchObject({ firstName: "Grace", lastName: "Hopper", password: before });

    await on.query("delete from clerk_migration.users");
    await ensureUser(on.systems, declared, inState);
    expect(on.live(userId)?.password).not.toEqual(before);
    const wrote = on.written().length;
    await ensureUser(on.systems, await on.declared(userId), inState);
    expect(on.written()).toHaveLength(wrote);
  });

  test("tells whoever had no invitation before", async () => {
    on.clerk.store.invitations.clear();
    const { planned, outputs } = await run();
    expect(planned).toMatchObject({ told: "now" });
    expect(outputs).toMatchObject([{ status: "sent" }]);
    expect(outbox()).toBe(2);
  });

  test("repeats no mail of our own, of which nobody can know whether it went out", async () => {
    on.clerk.store.invitations.clear();
    const { outputs } = await run({
      notify: "sign-in-link",
      smtpUrl: "smtp://127.0.0.1:9",
      mailFrom: "a@ampdial.com",
      appName: "App",
    });
    expect(outputs).toMatchObject([{ status: "unknown" }]);
    expect(outputs[0]?.reason).toContain("the ledger has been lost");
    expect(await entry()).toMatchObject({ status: "unknown" });
  });
});

describe("a ledger that has lost its mails alone", () => {
  const own = {
    notify: "sign-in-link",
    smtpUrl: "smtp://127.0.0.1:9",
    mailFrom: "a@ampdial.com",
    appName: "App",
  };
  const lose = () => on.query("delete from clerk_migration.notifications");
  const toldOnce = (way: string, outcome: string) =>
    on.query(
      `insert into clerk_migration.mails (migration_id, stack, clerk_instance_id, user_id, number, way, outcome)
       select migration_id, stack, clerk_instance_id, user_id, 0, $1, $2 from clerk_migration.users where user_id = $3`,
      [way, outcome, userId],
    );

  beforeEach(async () => {
    on.clerk.store.invitations.clear();
    await run({ notify: "none" });
    await lose();
  });

  test("repeats no mail of our own that its list knows to have left", async () => {
    await toldOnce("sign-in-link", "sent");
    const { planned, outputs } = await run(own);
    expect(planned).toMatchObject({ told: "sent", way: "sign-in-link" });
    expect(outputs).toMatchObject([{ status: "sent" }]);
    expect(sarahIn(await on.plan(own))).toMatchObject({ verdict: "unchanged", told: "sent" });
  });

  test("leaves to a decision a mail of our own of which nobody knows whether it left", async () => {
    await toldOnce("sign-in-link", "sending");
    const { planned, outputs } = await run(own);
    expect(planned).toMatchObject({ told: "sent" });
    expect(outputs).toMatchObject([{ status: "unknown" }]);
  });

  test("announces and repeats a mail that was taken back, and an invitation that Clerk does not have", async () => {
    await toldOnce("sign-in-link", "sent");
    await on.query(
      `insert into clerk_migration.events (migration_id, stack, subject, user_id, status)
       select migration_id, stack, 'notifications', user_id, 'revoked' from clerk_migration.users where user_id = $1`,
      [userId],
    );
    // Its turn comes once the mail server is there.
    expect(sarahIn(await on.plan(own))).toMatchObject({ told: "later" });

    await toldOnce("invitation", "sent");
    const { planned, outputs } = await run();
    expect(planned).toMatchObject({ told: "now" });
    expect(planned.notifications[0]?.attempt).toBeGreaterThan(1_000_000);
    expect(outputs).toMatchObject([{ status: "sent" }]);
    expect(outbox()).toBe(2);
  });
});
