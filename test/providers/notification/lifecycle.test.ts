import { afterEach, beforeEach, expect, test } from "vitest";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { sweep } from "../../../providers/migration/lifecycle";
import { ensureNotification, takeBack } from "../../../providers/notification/lifecycle";
import type { Exchange } from "../../../sandbox/clerk/server";
import { signIn, ticketIn } from "../../../sandbox/clerk/sign-in";
import { describeDifference, snapshotDatabase } from "../../../sandbox/snapshot";
import { contractProblems } from "../../clerk-contract";
import { legacyUsers, openTestSystems, SARAH, type TestSystems } from "../../systems";

const user = SARAH;
const exchanges: Exchange[] = [];
let it: TestSystems;

beforeEach(async () => {
  it = await openTestSystems({ onExchange: (exchange) => exchanges.push(exchange) });
});
afterEach(async () => {
  await it.close();
  expect(await contractProblems(exchanges.splice(0))).toEqual([]);
});

const mail = (userId = user.userId) => it.notification(userId);
const entry = async () =>
  (
    await it.query<{ status: string; attempt: number }>(
      "select status, attempt from clerk_migration.notifications",
    )
  )[0];
const outbox = () => it.clerk.store.outbox.map(({ to }) => to);

test("tells a user once, keeps the link to itself, and its ticket signs the right user in", async () => {
  const made = await ensureUser(it.systems, await it.declared(user.userId));
  const inputs = await mail();

  const outputs = await ensureNotification(it.systems, inputs);
  expect(await ensureNotification(it.systems, inputs)).toEqual(outputs);

  expect(outbox()).toEqual([user.email]);
  const url = [...it.clerk.store.invitations.values()][0]?.url ?? "";
  const ledger = await it.query<{ row: string }>("select row::text from clerk_migration.notifications row");
  expect(JSON.stringify([outputs, ledger, it.warnings])).not.toContain(ticketIn(url));
  const result = await signIn(it.clerk.issuer, { strategy: "ticket", ticket: ticketIn(url) });
  expect(result).toMatchObject({ status: "complete", userId: made.clerkUserId });
});

test("a refusal is a warning that raises the attempt, and the next up sends it", async () => {
  await ensureUser(it.systems, await it.declared(user.userId));
  const body = { errors: [{ code: "invitations_not_supported", message: "not supported" }] };
  it.clerk.faults.add({ on: "POST /invitations", effect: { type: "answer", status: 400, body } });

  const outputs = await ensureNotification(it.systems, await mail());

  expect(outputs).toMatchObject({ status: "failed", credentialId: "" });
  expect(it.warnings.join()).toContain(`User ${user.userId}`);
  expect(it.warnings.join()).not.toContain(user.email);
  expect(await entry()).toEqual({ status: "failed", attempt: 2 });
  expect(await ensureNotification(it.systems, await mail())).toMatchObject({ status: "sent", attempt: 2 });
  expect(outbox()).toEqual([user.email]);
});

test.each([
  { type: "cut-after" },
  { type: "truncated-json" },
  { type: "answer", status: 503, committed: true },
] as const)(
  "$type: the outcome stays unknown in this run, and the next finds the mail that went out",
  async (effect) => {
    await ensureUser(it.systems, await it.declared(user.userId));
    it.clerk.faults.add({ on: "POST /invitations", effect });

    expect(await ensureNotification(it.systems, await mail())).toMatchObject({ status: "unknown" });
    expect(it.clerk.store.requests.filter(({ kind }) => kind === "POST /invitations")).toHaveLength(1);

    expect(await ensureNotification(it.systems, await mail())).toMatchObject({ status: "sent" });
    expect(outbox()).toEqual([user.email]);
  },
);

test("a mail that never went out is sent by the next run", async () => {
  await ensureUser(it.systems, await it.declared(user.userId));
  it.clerk.faults.add({ on: "POST /invitations", effect: { type: "cut-before" } });
  await ensureNotification(it.systems, await mail());
  expect(outbox()).toEqual([]);
  await ensureNotification(it.systems, await mail());
  expect(outbox()).toEqual([user.email]);
});

test("revokes an open one, and finds it revoked the second time", async () => {
  await ensureUser(it.systems, await it.declared(user.userId));
  const outputs = await ensureNotification(it.systems, await mail());
  await takeBack(it.systems, outputs);
  await takeBack(it.systems, outputs);
  expect([...it.clerk.store.invitations.values()].map(({ status }) => status)).toEqual(["revoked"]);
  expect((await entry())?.status).toBe("revoked");
});

test("a revocation that was cut off is finished, or taken back, by the next run", async () => {
  await ensureUser(it.systems, await it.declared(user.userId));
  const outputs = await ensureNotification(it.systems, await mail());
  await it.query("update clerk_migration.notifications set status = 'revoking', attempt = 2");
  expect(await ensureNotification(it.systems, await mail())).toMatchObject({
    status: "sent",
    credentialId: outputs.credentialId,
  });
  expect(outbox()).toHaveLength(1);

  await it.query("update clerk_migration.notifications set status = 'revoking', attempt = 3");
  const open = [...it.clerk.store.invitations.values()][0];
  if (open === undefined) throw new Error("no invitation");
  it.clerk.store.invitations.set(open.id, { ...open, status: "revoked" });
  expect(await ensureNotification(it.systems, await mail())).toMatchObject({ status: "sent" });
  expect([...it.clerk.store.invitations.values()].filter(({ status }) => status === "pending")).toHaveLength(
    1,
  );
});

test("whoever has arrived is never told again, though the mail was taken back", async () => {
  await ensureUser(it.systems, await it.declared(user.userId));
  const outputs = await ensureNotification(it.systems, await mail());
  await signIn(it.clerk.issuer, { identifier: user.email, password: user.password });
  await takeBack(it.systems, outputs);
  await ensureNotification(it.systems, await mail());
  expect(outbox()).toHaveLength(1);
});

test("the root's delete rolls back whom the state has forgotten, invitations first, and names those it may not", async () => {
  const before = await snapshotDatabase(it.database.url);
  for (const { userId } of legacyUsers.slice(0, 5)) {
    await ensureUser(it.systems, await it.declared(userId));
    await ensureNotification(it.systems, await mail(userId));
  }
  await signIn(it.clerk.issuer, { identifier: user.email, password: user.password });
  const root = it.migration;

  await expect(sweep(it.systems, root)).rejects.toThrow(
    new RegExp(
      `1 of the users that the ledger still holds were not rolled back:[^]*User ${user.userId} has signed in`,
    ),
  );
  expect([...it.clerk.store.users.values()].filter(({ externalId }) => externalId !== null)).toHaveLength(1);

  await sweep(await it.restart({ rollbackSignedIn: "delete" }), root);
  expect([...it.clerk.store.users.values()].filter(({ externalId }) => externalId !== null)).toEqual([]);
  expect([...it.clerk.store.invitations.values()].filter(({ status }) => status === "pending")).toEqual([]);
  expect(describeDifference(before, await snapshotDatabase(it.database.url))).toEqual([]);
});
