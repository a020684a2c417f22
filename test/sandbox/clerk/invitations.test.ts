import type { ClerkClient } from "@clerk/backend";
import { afterEach, beforeEach, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { ask, clientOf, legacyUser, refusal } from "./people";

const DAY = 24 * 3_600_000;

let time: number;
let clerk: LocalClerk;
let invitations: ClerkClient["invitations"];

beforeEach(async () => {
  time = Date.parse("2026-03-01T12:00:00Z");
  clerk = await startClerk({ now: () => time, enforceLimits: false });
  invitations = clientOf(clerk).invitations;
});

afterEach(() => clerk.stop());

test("mails a link that leads to the page asked for, with a ticket", async () => {
  const redirectUrl = "https://app.example.com/sign-in?from=mail";
  const { url } = await invitations.createInvitation({ emailAddress: "New@example.com", redirectUrl });
  expect(clerk.store.outbox).toMatchObject([
    { to: "new@example.com", kind: "invitation", url, delivered: true },
  ]);

  const response = await fetch(url ?? "", { redirect: "manual" });
  const target = new URL(response.headers.get("location") ?? "");
  expect(response.status).toBe(307);
  expect(`${target.origin}${target.pathname}`).toBe("https://app.example.com/sign-in");
  expect(Object.fromEntries(target.searchParams)).toMatchObject({ from: "mail", __clerk_status: "sign_up" });
  expect(target.searchParams.get("__clerk_ticket")).toBeTruthy();
});

test("mails nobody where that is not wanted, but gives the link", async () => {
  const { url } = await invitations.createInvitation({ emailAddress: "new@example.com", notify: false });
  expect(url).toContain(clerk.issuer);
  expect(clerk.store.outbox).toEqual([]);
});

test("refuses a second invitation while one is pending, and allows it when told to or when that has expired", async () => {
  const emailAddress = "new@example.com";
  await invitations.createInvitation({ emailAddress, expiresInDays: 1 });
  const refused = await refusal(invitations.createInvitation({ emailAddress }));
  expect(refused).toMatchObject({ status: 400, code: "duplicate_record" });
  await invitations.createInvitation({ emailAddress, ignoreExisting: true, expiresInDays: 1 });

  time += DAY;
  await invitations.createInvitation({ emailAddress });
  const { data } = await invitations.getInvitationList();
  expect(data.map((invitation) => invitation.status).sort()).toEqual(["expired", "expired", "pending"]);
});

test("invites somebody who has an account only when told to, and never in bulk", async () => {
  await clientOf(clerk).users.createUser(legacyUser());
  const sam = { emailAddress: "sam@example.com" };
  const taken = { status: 422, code: "form_identifier_exists" };
  expect(await refusal(invitations.createInvitation(sam))).toMatchObject(taken);
  await expect(invitations.createInvitation({ ...sam, ignoreExisting: true })).resolves.toMatchObject(sam);

  const bulk = [{ emailAddress: "new@example.com" }, { ...sam, ignoreExisting: true }];
  expect(await refusal(invitations.createInvitationBulk(bulk))).toMatchObject(taken);
  expect(clerk.store.outbox).toHaveLength(1);
});

test("takes ten in bulk and no more", async () => {
  const eleven = Array.from({ length: 11 }, (_, number) => ({ emailAddress: `user${number}@example.com` }));
  const refused = await refusal(invitations.createInvitationBulk(eleven));
  expect(refused).toMatchObject({ status: 400, code: "bulk_size_exceeded" });
  await expect(invitations.createInvitationBulk(eleven.slice(1))).resolves.toHaveLength(10);
});

test("revokes a pending invitation once, hides it from the list and kills its link", async () => {
  const { id, url } = await invitations.createInvitation({ emailAddress: "new@example.com" });
  await expect(invitations.revokeInvitation(id)).resolves.toMatchObject({ status: "revoked", revoked: true });
  expect(await refusal(invitations.revokeInvitation(id))).toMatchObject({
    status: 400,
    code: "invitation_already_revoked",
  });
  expect(await refusal(invitations.revokeInvitation("inv_0"))).toMatchObject({ status: 404 });
  expect((await invitations.getInvitationList()).data).toEqual([]);
  expect((await invitations.getInvitationList({ status: "revoked" })).totalCount).toBe(1);
  expect((await fetch(url ?? "")).status).toBe(400);
});

test("finds an invitation by address or id, ten to a page", async () => {
  for (let number = 0; number < 12; number += 1) {
    time += 1;
    await invitations.createInvitation({ emailAddress: `user${number}@example.com` });
  }
  const page = await invitations.getInvitationList();
  expect(page).toMatchObject({ totalCount: 12 });
  expect(page.data).toHaveLength(10);
  expect(page.data[0]?.emailAddress).toBe("user11@example.com");
  const found = await invitations.getInvitationList({ query: "user7@example.com" });
  expect(found.data.map((invitation) => invitation.emailAddress)).toEqual(["user7@example.com"]);
  expect(await (await ask(clerk, "GET", "/invitations?limit=2")).json()).toHaveLength(2);
});

test("drops a development instance's mails after a hundred in a month, and tells nobody", async () => {
  for (let number = 0; number < 101; number += 1) {
    await invitations.createInvitation({ emailAddress: `user${number}@example.com` });
  }
  expect(clerk.store.outbox.filter((mail) => mail.delivered)).toHaveLength(100);
  expect(clerk.store.outbox.at(-1)).toMatchObject({ delivered: false, undeliveredBecause: "monthly limit" });

  time += 31 * DAY;
  await invitations.createInvitation({ emailAddress: "april@example.com" });
  expect(clerk.store.outbox.at(-1)).toMatchObject({ delivered: true });
});

test("sends nothing to a development instance's test addresses", async () => {
  await invitations.createInvitation({ emailAddress: "sam+clerk_test@example.com" });
  expect(clerk.store.outbox).toMatchObject([{ delivered: false, undeliveredBecause: "test address" }]);
});

test("has no invitations where there are no addresses", async () => {
  const disabled = { enabled: false, required: false };
  clerk.settings.attributes = { ...clerk.settings.attributes, email_address: disabled };
  const refused = await refusal(invitations.createInvitation({ emailAddress: "new@example.com" }));
  expect(refused).toMatchObject({ status: 400, code: "invitations_not_supported" });
});
