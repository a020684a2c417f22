import type { ClerkClient } from "@clerk/backend";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { ask, clientOf, legacyUser, PASSWORD, refusal } from "./people";

let clerk: LocalClerk;
let client: ClerkClient;

beforeEach(async () => {
  clerk = await startClerk();
  client = clientOf(clerk);
});

afterEach(() => clerk.stop());

describe("changing a user", () => {
  test("changes what is sent, clears what is null, leaves the rest", async () => {
    const { id } = await client.users.createUser(legacyUser({ lastName: "Hill" }));
    const response = await ask(clerk, "PATCH", `/users/${id}`, { first_name: "Samuel", external_id: null });
    expect(await response.json()).toMatchObject({
      first_name: "Samuel",
      last_name: "Hill",
      external_id: null,
      password_enabled: true,
    });
  });

  test("takes no metadata: that has its own endpoint", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const response = await ask(clerk, "PATCH", `/users/${id}`, { private_metadata: { mark: 1 } });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      errors: [{ code: "form_param_deprecated", meta: { param_name: "private_metadata" } }],
    });
  });

  test("refuses an external id that another user has", async () => {
    await client.users.createUser(legacyUser());
    const other = await client.users.createUser(
      legacyUser({ emailAddress: ["two@example.com"], externalId: "8" }),
    );
    const refused = await refusal(client.users.updateUser(other.id, { externalId: "7" }));
    expect(refused).toMatchObject({ status: 422, code: "form_identifier_exists", parameter: "external_id" });
  });

  test("merges metadata deeply and takes null for removal, while replacing replaces one field", async () => {
    const { id } = await client.users.createUser(
      legacyUser({
        privateMetadata: { migration: { run: 1, stack: "dev" } },
        publicMetadata: { plan: "old" },
      }),
    );
    const merged = await client.users.updateUserMetadata(id, {
      privateMetadata: { migration: { run: null, by: "up" } },
    });
    expect(merged.privateMetadata).toEqual({ migration: { stack: "dev", by: "up" } });

    const replaced = await client.users.replaceUserMetadata(id, { privateMetadata: { fresh: true } });
    expect(replaced.privateMetadata).toEqual({ fresh: true });
    expect(replaced.publicMetadata).toEqual({ plan: "old" });
  });

  test("replaces all addresses by one, and frees the old ones", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const response = await ask(clerk, "PUT", `/users/${id}/email_address`, {
      email_address: "new@example.com",
      notify_primary_email_address_changed: true,
    });
    expect(response.status).toBe(200);
    const sam = await client.users.getUser(id);
    expect(sam.emailAddresses.map((address) => address.emailAddress)).toEqual(["new@example.com"]);
    expect(sam.primaryEmailAddressId).toBe(sam.emailAddresses[0]?.id);
    expect(clerk.store.outbox).toMatchObject([
      { to: "sam@example.com", kind: "primary_email_address_changed" },
    ]);
    await client.users.createUser(legacyUser({ externalId: "8" }));
  });

  test("lets two users have an address that neither has proven, until one does", async () => {
    const sam = await client.users.createUser(legacyUser());
    const kim = await client.users.createUser(
      legacyUser({ emailAddress: ["kim@example.com"], externalId: "8" }),
    );
    const emailAddress = "shared@example.com";
    const first = await client.emailAddresses.createEmailAddress({ userId: sam.id, emailAddress });
    const second = await client.emailAddresses.createEmailAddress({ userId: kim.id, emailAddress });
    expect(second.verification).toBeNull();

    await client.emailAddresses.updateEmailAddress(first.id, { verified: true });
    const refused = await refusal(client.emailAddresses.updateEmailAddress(second.id, { verified: true }));
    expect(refused).toMatchObject({ code: "form_identifier_exists" });
  });

  test("removes a password, and verifies none thereafter", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const wrong = await refusal(client.users.verifyPassword({ userId: id, password: "a wrong one" }));
    expect(wrong).toMatchObject({ status: 422, code: "incorrect_password" });

    await ask(clerk, "POST", `/users/${id}/remove_password`);
    const none = await refusal(client.users.verifyPassword({ userId: id, password: PASSWORD }));
    expect(none).toMatchObject({ status: 400, code: "no_password_set" });
  });

  test("says of a deleted user what his external id was, and then that there is none", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const deleted = await ask(clerk, "DELETE", `/users/${id}`);
    expect(await deleted.json()).toEqual({ object: "user", id, deleted: true, external_id: "7" });
    expect(await refusal(client.users.deleteUser(id))).toMatchObject({
      status: 404,
      code: "resource_not_found",
    });
    expect(await refusal(client.users.getUser(id))).toMatchObject({
      text: `No user was found with id ${id}`,
    });
  });
});
