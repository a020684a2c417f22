import { type ClerkClient, verifyToken } from "@clerk/backend";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { signIn, type SignInOutcome, ticketIn } from "../../../sandbox/clerk/sign-in";
import { ask, clientOf, legacyUser, PASSWORD } from "./people";

const MONTH = 31 * 24 * 3_600_000;
const SAM = { identifier: "Sam@example.com", password: PASSWORD };

let delay: number;
let clerk: LocalClerk;
let client: ClerkClient;

beforeEach(async () => {
  delay = 0;
  clerk = await startClerk({ now: () => Date.now() + delay });
  client = clientOf(clerk);
});

afterEach(() => clerk.stop());

describe("with the old password", () => {
  test("gives a session token that Clerk's own library verifies, by key and by secret", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const { token } = signedIn(await signIn(clerk.issuer, SAM));
    const claims = { sub: id, iss: clerk.issuer, userId: "7" };
    await expect(verifyToken(token, { jwtKey: clerk.jwtKey() })).resolves.toMatchObject(claims);
    await expect(
      verifyToken(token, { secretKey: clerk.secretKey, apiUrl: clerk.url }),
    ).resolves.toMatchObject(claims);
  });

  test("gives a token that another instance does not take", async () => {
    await client.users.createUser(legacyUser());
    const { token } = signedIn(await signIn(clerk.issuer, SAM));
    const other = await startClerk();
    await expect(verifyToken(token, { jwtKey: other.jwtKey() })).rejects.toThrow("signature");
    await other.stop();
  });

  test("names a user without a legacy id by Clerk's", async () => {
    const { id } = await client.users.createUser(legacyUser({ externalId: undefined }));
    const { token } = signedIn(await signIn(clerk.issuer, SAM));
    await expect(verifyToken(token, { jwtKey: clerk.jwtKey() })).resolves.toMatchObject({ userId: id });
  });

  test("marks the user as having signed in, and opens a session", async () => {
    const { id, updatedAt } = await client.users.createUser(legacyUser());
    delay = 1000;
    const { sessionId } = signedIn(await signIn(clerk.issuer, SAM));
    const sam = await client.users.getUser(id);
    expect(sam.lastSignInAt).toBeGreaterThan(updatedAt);
    const { data } = await client.sessions.getSessionList({ userId: id });
    expect(data.map((session) => session.id)).toEqual([sessionId]);
  });

  test("takes a form as browsers send it", async () => {
    await client.users.createUser(legacyUser());
    const form = new URLSearchParams(SAM);
    const response = await fetch(`${clerk.issuer}/v1/client/sign_ins`, { method: "POST", body: form });
    expect(await response.json()).toMatchObject({ response: { status: "complete" } });
  });

  test.each([
    ["a wrong password", {}, { ...SAM, password: "a wrong one" }, "form_password_incorrect"],
    ["an unknown address", {}, { ...SAM, identifier: "kim@example.com" }, "form_identifier_not_found"],
    ["somebody banned", { banned: true }, SAM, "user_banned"],
    ["somebody locked", { locked: true }, SAM, "user_locked"],
    [
      "a reserved address",
      { emailAddressIdentificationStatus: ["reserved"] },
      SAM,
      "password_reset_required",
    ],
    [
      "somebody without a password",
      { passwordDigest: undefined, passwordHasher: undefined, skipPasswordRequirement: true },
      SAM,
      "strategy_for_user_invalid",
    ],
  ])("refuses %s", async (_whom, changes, credentials, code) => {
    const { id } = await client.users.createUser(legacyUser(changes));
    await expect(signIn(clerk.issuer, credentials)).resolves.toEqual({ status: "refused", code });
    expect(clerk.store.users.get(id)?.lastSignInAt).toBeNull();
  });

  test("refuses a compromised password until that is lifted", async () => {
    const { id } = await client.users.createUser(legacyUser());
    await ask(clerk, "POST", `/users/${id}/password/set_compromised`, {});
    await expect(signIn(clerk.issuer, SAM)).resolves.toMatchObject({ code: "form_password_compromised" });
    await ask(clerk, "POST", `/users/${id}/password/unset_compromised`);
    await expect(signIn(clerk.issuer, SAM)).resolves.toMatchObject({ status: "complete" });
  });

  test("is not enough on a new device where devices must be trusted, unless the user is exempt", async () => {
    clerk.settings.deviceTrust = true;
    const { id } = await client.users.createUser(legacyUser());
    await expect(signIn(clerk.issuer, SAM)).resolves.toEqual({ status: "needs_client_trust" });
    await ask(clerk, "PATCH", `/users/${id}`, { bypass_client_trust: true });
    await expect(signIn(clerk.issuer, SAM)).resolves.toMatchObject({ status: "complete" });
  });
});

describe("with a ticket", () => {
  test("an invited user who has an account is in, once, and the invitation is accepted", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const invitation = await client.invitations.createInvitation({
      emailAddress: "sam@example.com",
      ignoreExisting: true,
    });
    const credentials = { strategy: "ticket", ticket: ticketIn(invitation.url ?? "") } as const;
    await expect(signIn(clerk.issuer, credentials)).resolves.toMatchObject({
      status: "complete",
      userId: id,
    });
    expect(clerk.store.invitations.get(invitation.id)?.status).toBe("accepted");
    await expect(signIn(clerk.issuer, credentials)).resolves.toMatchObject({
      code: "invitation_already_accepted",
    });
  });

  test("an invited person without an account signs up instead, and brings the invitation's metadata", async () => {
    const { url } = await client.invitations.createInvitation({
      emailAddress: "new@example.com",
      publicMetadata: { plan: "old" },
    });
    const ticket = ticketIn(url ?? "");
    await expect(signIn(clerk.issuer, { strategy: "ticket", ticket })).resolves.toMatchObject({
      code: "invitation_account_not_exists",
    });
    const response = await signUp({ strategy: "ticket", ticket, password: "a new password" });
    expect(await response.json()).toMatchObject({ response: { status: "complete" } });
    const { data } = await client.users.getUserList({ emailAddress: ["new@example.com"] });
    expect(data).toMatchObject([{ publicMetadata: { plan: "old" }, externalId: null }]);
  });

  test("signing up is refused to somebody who has an account", async () => {
    await client.users.createUser(legacyUser());
    const { url } = await client.invitations.createInvitation({
      emailAddress: "sam@example.com",
      ignoreExisting: true,
    });
    const response = await signUp({
      strategy: "ticket",
      ticket: ticketIn(url ?? ""),
      password: "a new password",
    });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ errors: [{ code: "form_identifier_exists" }] });
  });

  test("a sign-in token works once", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const { token: ticket, url } = await client.signInTokens.createSignInToken({
      userId: id,
      expiresInSeconds: 60,
    });
    expect(ticketIn(url)).toBe(ticket);
    const credentials = { strategy: "ticket", ticket } as const;
    await expect(signIn(clerk.issuer, credentials)).resolves.toMatchObject({
      status: "complete",
      userId: id,
    });
    await expect(signIn(clerk.issuer, credentials)).resolves.toMatchObject({
      code: "sign_in_token_already_used_code",
    });
  });

  test("a sign-in token works no longer once it has expired or is revoked", async () => {
    const { id } = await client.users.createUser(legacyUser());
    const expired = await client.signInTokens.createSignInToken({ userId: id, expiresInSeconds: 60 });
    delay = MONTH;
    await expect(signIn(clerk.issuer, { strategy: "ticket", ticket: expired.token })).resolves.toMatchObject({
      code: "ticket_expired_code",
    });
    const revoked = await client.signInTokens.createSignInToken({ userId: id, expiresInSeconds: 60 });
    await client.signInTokens.revokeSignInToken(revoked.id);
    await expect(signIn(clerk.issuer, { strategy: "ticket", ticket: revoked.token })).resolves.toMatchObject({
      code: "sign_in_token_revoked_code",
    });
  });
});

test("the environment tells which attributes there are, without a key", async () => {
  const response = await fetch(`${clerk.issuer}/v1/environment`);
  expect(await response.json()).toMatchObject({
    display_config: { instance_environment_type: "development" },
    user_settings: {
      attributes: { password: { enabled: true, required: true }, username: { enabled: false } },
      sign_up: { mode: "public", legal_consent_enabled: false },
      restrictions: { blocklist: { enabled: false }, block_email_subaddresses: { enabled: false } },
    },
  });
});

test("the publishable key and the domain lead to the Frontend API", async () => {
  const { data } = await client.domains.list();
  expect(data[0]?.frontendApiUrl).toBe(clerk.issuer);
  const host = Buffer.from(clerk.publishableKey.replace("pk_test_", ""), "base64").toString();
  expect(`http://${host}`).toBe(`${clerk.issuer}$`);
});

function signedIn(outcome: SignInOutcome) {
  if (outcome.status !== "complete")
    throw new Error(`Expected to be signed in, but: ${JSON.stringify(outcome)}`);
  return outcome;
}

function signUp(body: Record<string, string>): Promise<Response> {
  return fetch(`${clerk.issuer}/v1/client/sign_ups`, { method: "POST", body: new URLSearchParams(body) });
}
