import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type Exchange, type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { clerkContract } from "../../clerk-contract";
import { ask, clientOf, legacyUser, PASSWORD } from "./people";

const contract = await clerkContract();
const exchanges: Exchange[] = [];
let clerk: LocalClerk;

beforeAll(async () => {
  clerk = await startClerk({ onExchange: (exchange) => exchanges.push(exchange) });
});

afterAll(() => clerk.stop());

describe.skipIf(!contract)("Clerk's OpenAPI file", () => {
  test("agrees with everything a migration asks and is answered", async () => {
    const { users, emailAddresses, invitations, signInTokens, instance, domains, sessions } = clientOf(clerk);
    const sam = await users.createUser(
      legacyUser({ createdAt: new Date("2020-02-02"), privateMetadata: { migration: { run: 1 } } }),
    );
    await users.getUserList({ externalId: ["7"], limit: 100 });
    await users.getUserList({ emailAddress: ["sam@example.com"], orderBy: "-created_at" });
    await users.getUser(sam.id);
    await users.updateUser(sam.id, { firstName: "Samuel", externalId: "8" });
    await users.updateUserMetadata(sam.id, { privateMetadata: { migration: { run: null } } });
    await users.verifyPassword({ userId: sam.id, password: PASSWORD });
    await users.banUser(sam.id);
    await users.unbanUser(sam.id);
    await users.lockUser(sam.id);
    await users.unlockUser(sam.id);
    const second = await emailAddresses.createEmailAddress({
      userId: sam.id,
      emailAddress: "two@example.com",
    });
    await emailAddresses.updateEmailAddress(second.id, { verified: true });
    await emailAddresses.getEmailAddress(second.id);
    await emailAddresses.deleteEmailAddress(second.id);
    const invitation = await invitations.createInvitation({
      emailAddress: "sam@example.com",
      ignoreExisting: true,
    });
    await invitations.createInvitationBulk([
      { emailAddress: "new@example.com" },
      { emailAddress: "old@example.com" },
    ]);
    await invitations.getInvitationList({ status: "pending" });
    await invitations.revokeInvitation(invitation.id);
    const token = await signInTokens.createSignInToken({ userId: sam.id, expiresInSeconds: 600 });
    await signInTokens.revokeSignInToken(token.id);
    await instance.get();
    await domains.list();
    await sessions.getSessionList({ userId: sam.id });
    await ask(clerk, "POST", `/users/${sam.id}/password/set_compromised`, {});
    await ask(clerk, "POST", `/users/${sam.id}/password/unset_compromised`);
    await ask(clerk, "POST", `/users/${sam.id}/remove_password`, {});
    await ask(clerk, "PUT", `/users/${sam.id}/metadata`, { public_metadata: { plan: "old" } });
    await ask(clerk, "PUT", `/users/${sam.id}/email_address`, { email_address: "three@example.com" });
    await ask(clerk, "GET", "/jwks");
    await ask(clerk, "GET", `/users?user_id=${sam.id}&limit=100&starting_after=${sam.id}`);
    await users.deleteUser(sam.id);

    expect(exchanges.length).toBeGreaterThan(30);
    expect(exchanges.every((exchange) => exchange.status === 200)).toBe(true);
    expect(problems()).toEqual([]);
  });

  test("agrees with every refusal", async () => {
    const address = "taken@example.com";
    await ask(clerk, "POST", "/users", { email_address: [address], skip_password_requirement: true });
    const stranger = { ...clerk, secretKey: "sk_test_stranger" };
    const before = exchanges.length;
    await ask(clerk, "POST", "/users", { email_address: [address], skip_password_requirement: true });
    await ask(clerk, "POST", "/users", { email_address: ["nobody"] });
    await ask(clerk, "POST", "/users", {});
    await ask(clerk, "GET", "/users/user_0");
    await ask(clerk, "POST", "/users/user_0/verify_password", { password: "x" });
    await ask(clerk, "PATCH", "/users/user_0", {});
    await ask(clerk, "POST", "/invitations", { email_address: address });
    await ask(clerk, "POST", "/invitations/inv_0/revoke");
    await ask(stranger, "GET", "/users");
    await ask(stranger, "GET", "/instance");

    const statuses = exchanges.slice(before).map((exchange) => exchange.status);
    expect(statuses).toEqual([422, 422, 422, 404, 404, 404, 422, 404, 401, 401]);
    expect(problems()).toEqual([]);
  });

  test("notices a field, a query parameter or an answer that Clerk does not know", async () => {
    const before = exchanges.length;
    await ask(clerk, "POST", "/users", { email: "sam@example.com" });
    await ask(clerk, "GET", "/users?email=sam@example.com");
    const found = exchanges.slice(before).map((exchange) => contract?.check(exchange));
    expect(found).toEqual([
      [expect.stringMatching(/^request: POST \/v1\/users: .*additional properties/i)],
      ["request: GET /v1/users: unknown query parameter email"],
    ]);
    const [invented] = exchanges.filter((exchange) => exchange.status === 200);
    expect(invented && contract?.check({ ...invented, responseBody: { ok: true } })).not.toEqual([]);
  });
});

function problems(): string[] {
  return exchanges.flatMap((exchange) => contract?.check(exchange) ?? []);
}
