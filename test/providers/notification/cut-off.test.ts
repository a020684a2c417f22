import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { sweep } from "../../../providers/migration/lifecycle";
import type { NotificationOutputs } from "../../../providers/notification/inputs";
import { ensureNotification, takeBack } from "../../../providers/notification/lifecycle";
import { readNotification, recordForgotten } from "../../../providers/postgres/ledger-notifications";
import { signIn } from "../../../sandbox/clerk/sign-in";
import { openTestSystems, SARAH, STACK, type TestSystems } from "../../systems";

const { userId } = SARAH;

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
  await ensureUser(on.systems, await on.declared(userId));
});
afterEach(() => on.close());

const invite = async (): Promise<NotificationOutputs> =>
  ensureNotification(on.systems, await on.notification(userId));
const ledger = () => readNotification(on.systems.database, on.migration, { userId, number: 0 });
const invitations = () => [...on.clerk.store.invitations.values()].map(({ status }) => status);
const changeLedger = (set: string) => on.query(`update clerk_migration.notifications set ${set}`);

const rollBackUser = async () => deleteUser(on.systems, await on.recorded(userId));

describe("a mail whose outcome nobody knows", () => {
  beforeEach(() => {
    on.clerk.faults.add({ on: "POST /invitations", effect: { type: "cut-after" } });
  });

  test("is revoked with the stack, though the state knows no id of it", async () => {
    const outputs = await invite();
    expect(outputs).toMatchObject({ status: "unknown", credentialId: "" });
    await takeBack(on.systems, outputs);
    expect(invitations()).toEqual(["revoked"]);
    expect(await ledger()).toMatchObject({ status: "revoked" });
  });

  test("is revoked by the root's delete, which knows the ledger only", async () => {
    await invite();
    await sweep(on.systems, on.migration);
    expect(invitations()).toEqual(["revoked"]);
    expect(await ledger()).toMatchObject({ status: "revoked" });
  });
});

test("a mail that was being sent when the run was killed is revoked by the root's delete", async () => {
  await invite();
  await changeLedger("status = 'sending', credential_id = null, email_fingerprint = null");
  await sweep(on.systems, on.migration);
  expect(invitations()).toEqual(["revoked"]);
});

test("a revocation that was cut off is finished by the root's delete, once", async () => {
  await invite();
  await changeLedger("status = 'revoking'");
  await sweep(on.systems, on.migration);
  expect(invitations()).toEqual(["revoked"]);
  expect(await ledger()).toMatchObject({ status: "revoked" });

  const before = on.written();
  await sweep(on.systems, on.migration);
  expect(on.written()).toEqual(before);
});

test("a second mail of unknown outcome is not mistaken for the first, which was revoked", async () => {
  await takeBack(on.systems, await invite());
  on.clerk.faults.add({ on: "POST /invitations", effect: { type: "cut-after" } });
  const second = await invite();
  expect(await ledger()).toMatchObject({ status: "unknown", credentialId: null });

  await takeBack(on.systems, second);

  expect(invitations()).toEqual(["revoked", "revoked"]);
});

test("what another stack has told is not told again by this one, once its user is ours", async () => {
  await invite();
  await changeLedger("stack = 'clerk-migration/other'");
  await recordForgotten(on.systems.database, on.migration, (await on.world()).forgottenMails);
  expect(await invite()).toMatchObject({ status: "sent" });
  expect(await ledger()).toMatchObject({ stack: STACK, status: "sent" });
  expect(on.clerk.store.outbox).toHaveLength(1);
});

test("an accepted one is left as it is", async () => {
  const outputs = await invite();
  await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
  const [invitation] = on.clerk.store.invitations.values();
  if (invitation === undefined) throw new Error("nobody was invited");
  on.clerk.store.invitations.set(invitation.id, { ...invitation, status: "accepted" });

  await takeBack(on.systems, outputs);

  expect(invitations()).toEqual(["accepted"]);
  expect(await ledger()).toMatchObject({ status: "sent" });
});

test("nobody is told whose user is not linked", async () => {
  const inputs = await on.notification(userId);
  await rollBackUser();
  expect(await ensureNotification(on.systems, inputs)).toMatchObject({
    status: "failed",
    reason: `User ${userId} is not linked to Clerk, so there is nothing to tell. See why the user's own resource failed; both are tried again by the next \`up\`.`,
  });
  expect(on.clerk.store.outbox).toEqual([]);
});

test("an invitation of another Clerk instance is refused", async () => {
  const outputs = await invite();
  await changeLedger("clerk_instance_id = 'ins_other'");
  await expect(takeBack(on.systems, outputs)).rejects.toMatchObject({ code: "other-instance" });
  expect(invitations()).toEqual(["pending"]);
});

test("an hourly limit leaves the rest for a later up, which sends each once", async () => {
  await on.close();
  on = await openTestSystems({
    enforceLimits: true,
    limits: { requestsPer10s: 10_000, invitationsPerHour: 2 },
  });
  const users = (await on.plan()).users
    .flatMap(({ declared }) => (declared === null ? [] : [declared]))
    .slice(0, 4);
  for (const user of users) await ensureUser(on.systems, user);
  const declared = (await on.plan()).users.flatMap(({ notifications, verdict }) =>
    verdict === "unchanged" ? notifications : [],
  );

  const outcomes = [];
  for (const inputs of declared) outcomes.push((await ensureNotification(on.systems, inputs)).status);

  expect(outcomes).toEqual(["sent", "sent", "failed", "failed"]);
  expect(on.clerk.store.outbox).toHaveLength(2);
  // The third was asked for, and answered 429; the fourth never left.
  expect(on.clerk.store.requests.filter(({ kind }) => kind === "POST /invitations")).toHaveLength(3);
});
