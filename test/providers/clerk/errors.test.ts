import { afterEach, beforeEach, expect, test } from "vitest";

import { openClerk } from "../../../providers/clerk/client";
import { checkInstance } from "../../../providers/clerk/preflight";
import { messageOf, MigrationError } from "../../../providers/errors";
import { type Exchange, type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { clerkContract } from "../../clerk-contract";

const ADDRESS = "ada.lovelace@example.com";
const mark = { migration: "m_test" };

const exchanges: Exchange[] = [];
let local: LocalClerk;
let clerk: ReturnType<typeof openClerk>;

beforeEach(async () => {
  exchanges.length = 0;
  local = await startClerk({ enforceLimits: false, onExchange: (exchange) => exchanges.push(exchange) });
  clerk = openClerk({ secretKey: local.secretKey, apiUrl: local.url, requestsPer10s: 100_000 });
});
afterEach(() => local.stop());

const create = (changes = {}) =>
  clerk.createUser({
    externalId: "7",
    emailAddress: ADDRESS,
    firstName: "Ada",
    lastName: "Lovelace",
    createdAt: "2020-01-02T03:04:05.678Z",
    password: null,
    mark,
    ...changes,
  });

const refusing = (code: string, status = 422, text = `about ${ADDRESS}`) => {
  const body = {
    errors: [{ code, message: text, long_message: text, meta: { param_name: "email_address" } }],
  };
  local.faults.add({ on: "POST /users", effect: { type: "answer", status, body } });
};

test.each([
  ["form_identifier_exists", 422],
  ["form_param_format_invalid", 422],
  ["form_password_digest_invalid_code", 422],
  ["form_data_missing", 422],
  ["form_param_unknown", 422],
  ["form_disallow_future_date", 422],
  ["user_quota_exceeded", 403],
  ["not_allowed_access", 403],
  ["clerk_key_invalid", 401],
  ["authorization_invalid", 403],
  ["user_managed_by_scim", 403],
  ["something_new", 418],
] as const)("%s becomes a cause and a remedy without an address", async (code, status) => {
  refusing(code, status);
  const error = await create().catch((thrown: unknown) => thrown);
  if (!(error instanceof MigrationError)) throw new Error("not refused");
  expect(error.code).toBe(`clerk-${code}`);
  expect(error.reason).toMatch(/^[A-Z].*\.$/);
  expect(error.remedy).toMatch(/^[A-Z].*\.$/);
  expect(error.message).not.toContain("@");
});

test("an answer that is no JSON is quoted nowhere", async () => {
  const body = `${ADDRESS} is unwell`;
  const effect = { type: "answer", status: 200, contentType: "application/json", body } as const;
  local.faults.add({ on: "POST /users", effect });
  const message = await create().catch(messageOf);
  expect(message).toContain("Clerk gave no readable answer to POST /users");
  expect(message).not.toContain("lovel");
});

test("an answer of another shape is quoted nowhere", async () => {
  const effect = { type: "answer", status: 200, body: { id: ADDRESS, email_addresses: ADDRESS } } as const;
  local.faults.add({ on: "POST /users", effect });
  const message = await create().catch(messageOf);
  expect(message).toContain("Clerk gave no readable answer to POST /users");
  expect(message).not.toContain("@");
});

test("a restriction of the instance refuses without the address that Clerk's text names", async () => {
  local.settings.blocklist = ["*@example.com"];
  await expect(create()).rejects.toThrow("The Clerk instance's restrictions refuse this address");
});

test("an issuer of another instance is refused by name, before anything else", async () => {
  await expect(checkInstance(clerk, "https://clerk.other.example")).rejects.toMatchObject({
    code: "other-issuer",
  });
  await expect(checkInstance(clerk, `${local.issuer}/`)).resolves.toMatchObject({ id: local.instanceId });
});

const contract = await clerkContract();

test.skipIf(contract === undefined)("every request is one that Clerk's OpenAPI file describes", async () => {
  const digest = "$2b$10$HoPWdKmgn4JIYUX8.XUJeutOSH3UeRifJQCWkE8Ia0o5BCLwdOU8W";
  const password = { digest, hasher: "bcrypt" } as const;
  await clerk.instance();
  await clerk.frontendApiUrls();
  const user = await create({ password });
  await create({
    externalId: "8",
    emailAddress: "b@example.com",
    firstName: null,
    lastName: null,
    createdAt: null,
  });
  await clerk.user(user.id);
  await clerk.usersBy("user_id", [user.id]);
  await clerk.userByExternalId("7");
  await clerk.userByEmail(ADDRESS);
  await clerk.updateUser(user.id, { firstName: "A", lastName: "", password });
  await clerk.replaceEmail(user.id, "c@example.com");
  await clerk.setMark(user.id, null);
  const emailAddress = "c@example.com";
  const invitation = await clerk.createInvitation({
    emailAddress,
    redirectUrl: "https://app.example.com/sign-in",
    mark: { ...mark, userId: "7" },
  });
  expect(await clerk.invitationsTo(emailAddress)).toHaveLength(1);
  expect(await clerk.revokeInvitation(invitation.id)).toBe(true);
  expect(await clerk.revokeInvitation(invitation.id)).toBe(false);
  await clerk.deleteUser(user.id);
  await clerk.deleteUser(user.id);

  expect(exchanges.length).toBeGreaterThan(15);
  expect(exchanges.flatMap((exchange) => contract?.check(exchange) ?? [])).toEqual([]);
});
