import type { ClerkClient } from "@clerk/backend";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { clientOf, DIGEST, legacyUser, PASSWORD, refusal } from "./people";

let clerk: LocalClerk;
let client: ClerkClient;

beforeEach(async () => {
  clerk = await startClerk();
  client = clientOf(clerk);
});

afterEach(() => clerk.stop());

describe("creating a user", () => {
  test("keeps what the legacy system knew and never shows the digest", async () => {
    const metadata = { migration: { stack: "dev" }, "kebab-key": 1 };
    const sam = await client.users.createUser(
      legacyUser({ createdAt: new Date("2020-02-02T10:00:00Z"), privateMetadata: metadata }),
    );
    expect(sam.id).toMatch(/^user_[0-9A-Za-z]{27}$/);
    expect(sam).toMatchObject({
      externalId: "7",
      firstName: "Sam",
      lastName: null,
      passwordEnabled: true,
      privateMetadata: metadata,
      createdAt: Date.parse("2020-02-02T10:00:00Z"),
      lastSignInAt: null,
    });
    expect(JSON.stringify(sam.raw)).not.toContain(DIGEST);
    expect(clerk.store.users.get(sam.id)?.password).toMatchObject({ digest: DIGEST, hasher: "bcrypt" });
  });

  test("takes the first address as the primary one, verified by the backend, in lower case", async () => {
    const sam = await client.users.createUser(
      legacyUser({ emailAddress: ["Sam@Example.com", "s2@example.com"] }),
    );
    expect(sam.primaryEmailAddress?.emailAddress).toBe("sam@example.com");
    expect(sam.emailAddresses[0]).toMatchObject({
      linkedTo: [],
      verification: { status: "verified", strategy: "admin", attempts: null, expireAt: null },
    });
  });

  test("sends no mail", async () => {
    await client.users.createUser(legacyUser());
    expect(clerk.store.outbox).toEqual([]);
  });

  test("makes a reserved address usable but unproven, and its password not usable before a reset", async () => {
    const { id } = await client.users.createUser(
      legacyUser({ emailAddressIdentificationStatus: ["reserved"] }),
    );
    const { raw } = await client.users.getUser(id);
    expect(raw).toMatchObject({
      requires_password_reset: true,
      email_addresses: [{ reserved: true, verification: null }],
    });
  });

  test("needs as many statuses as addresses", async () => {
    const refused = await refusal(
      client.users.createUser(legacyUser({ emailAddressIdentificationStatus: ["reserved", "verified"] })),
    );
    expect(refused).toMatchObject({ status: 422, code: "form_param_array_length_mismatch" });
  });

  test.each([
    [
      "the same address in another case",
      { emailAddress: ["SAM@example.com"], externalId: "8" },
      "email_address",
    ],
    ["the same external id", { emailAddress: ["other@example.com"] }, "external_id"],
  ])("refuses a second user with %s", async (_what, changes, parameter) => {
    await client.users.createUser(legacyUser());
    const refused = await refusal(client.users.createUser(legacyUser(changes)));
    expect(refused).toMatchObject({ status: 422, code: "form_identifier_exists", parameter });
    expect(clerk.store.users.size).toBe(1);
  });

  test("gives an address to one of two requests that want it at once", async () => {
    const attempts = await Promise.allSettled([
      client.users.createUser(
        legacyUser({ password: PASSWORD, passwordDigest: undefined, passwordHasher: undefined }),
      ),
      client.users.createUser(legacyUser()),
    ]);
    expect(attempts.filter((attempt) => attempt.status === "fulfilled")).toHaveLength(1);
  });

  test("gives the address of a deleted user to the next one", async () => {
    const { id } = await client.users.createUser(legacyUser());
    await client.users.deleteUser(id);
    await expect(client.users.createUser(legacyUser())).resolves.toMatchObject({ externalId: "7" });
  });

  test.each([
    ["not an address", { emailAddress: ["sam"] }, "form_param_format_invalid"],
    ["an unknown hasher", { passwordHasher: "rot13" }, "form_param_value_invalid"],
    [
      "a digest that is none of its hasher's",
      { passwordDigest: "$2b$10$short" },
      "form_password_digest_invalid_code",
    ],
    ["a digest without a hasher", { passwordHasher: undefined }, "form_conditional_param_missing"],
    ["a hasher without a digest", { passwordDigest: undefined }, "form_conditional_param_missing"],
    [
      "no password where one is required",
      { passwordDigest: undefined, passwordHasher: undefined },
      "form_data_missing",
    ],
    [
      "a creation in the future",
      { createdAt: new Date(Date.now() + 3_600_000) },
      "form_disallow_future_date",
    ],
    ["a creation that is no time", { createdAt: "yesterday" }, "form_param_invalid_time"],
    ["an unknown field", { nickname: "S" }, "form_param_unknown"],
    ["an attribute that is switched off", { username: "sam" }, "form_param_unknown"],
    [
      "metadata of more than 8 KB",
      { publicMetadata: { text: "x".repeat(8200) } },
      "form_param_exceeds_allowed_size",
    ],
    ["a value of the wrong type", { firstName: 7 }, "form_param_type_invalid"],
  ])("refuses %s", async (_what, changes, code) => {
    expect(await refusal(client.users.createUser(legacyUser(changes)))).toMatchObject({ status: 422, code });
    expect(clerk.store.users.size).toBe(0);
  });

  test.each([
    ["too short", "ab", "form_username_invalid_length"],
    ["too long", "a".repeat(65), "form_username_invalid_length"],
    ["with a dot", "john.doe", "form_username_invalid_character"],
    ["of another script", "иван", "form_username_invalid_character"],
    ["of digits alone", "12345", "form_username_needs_non_number_char"],
  ])("refuses a user name that is %s", async (_what, username, code) => {
    clerk.settings.attributes = {
      ...clerk.settings.attributes,
      username: { enabled: true, required: false },
    };
    expect(await refusal(client.users.createUser(legacyUser({ username })))).toMatchObject({
      status: 422,
      code,
    });
  });

  test("takes user names by the rules that the dashboard sets", async () => {
    clerk.settings.attributes = {
      ...clerk.settings.attributes,
      username: { enabled: true, required: false },
    };
    clerk.settings.usernames = {
      minLength: 2,
      maxLength: 64,
      allowsSpecialCharacters: true,
      allowsNumbersAlone: true,
    };
    const { id } = await client.users.createUser(legacyUser({ username: "J.D" }));
    expect(clerk.store.users.get(id)?.username).toBe("j.d");
    expect(await refusal(client.users.createUser(legacyUser({ username: "+14155552671" })))).toMatchObject({
      code: "form_username_cannot_be_phone_number",
    });
  });

  test.each(["+4402079460018", "0044207946001", "+44 20 7946 0018", "+12"])(
    "refuses the phone number %s",
    async (phoneNumber) => {
      clerk.settings.attributes = {
        ...clerk.settings.attributes,
        phone_number: { enabled: true, required: false },
      };
      expect(
        await refusal(client.users.createUser(legacyUser({ phoneNumber: [phoneNumber] }))),
      ).toMatchObject({ status: 422, code: "form_param_format_invalid" });
    },
  );

  test.each([["$2a$"], ["$2b$"], ["$2y$"]])("takes a bcrypt digest that begins with %s", async (version) => {
    const digest = DIGEST.replace(/^\$2[aby]\$/, version);
    const { id } = await client.users.createUser(legacyUser({ passwordDigest: digest }));
    await expect(client.users.verifyPassword({ userId: id, password: PASSWORD })).resolves.toEqual({
      verified: true,
    });
  });

  test("does without a password where that is said, unless there is no other way to sign in", async () => {
    const withoutPassword = {
      passwordDigest: undefined,
      passwordHasher: undefined,
      skipPasswordRequirement: true,
    };
    const sam = await client.users.createUser(legacyUser(withoutPassword));
    expect(sam.passwordEnabled).toBe(false);

    clerk.settings.emailFirstFactors = [];
    const refused = await refusal(
      client.users.createUser(
        legacyUser({ ...withoutPassword, emailAddress: ["two@example.com"], externalId: "8" }),
      ),
    );
    expect(refused.status).toBe(422);
  });

  test("names what the instance requires and the request has not", async () => {
    clerk.settings.attributes = {
      ...clerk.settings.attributes,
      phone_number: { enabled: true, required: true },
      last_name: { enabled: true, required: true },
    };
    const refused = await refusal(client.users.createUser(legacyUser()));
    expect(refused).toMatchObject({
      status: 422,
      code: "form_data_missing",
      text: `["phone_number" "last_name"] data doesn't match user requirements set for this instance`,
    });
  });

  test.each([
    ["the block list", { blocklist: ["*@example.com"] }, "sam@example.com"],
    ["the allow list", { allowlist: ["someone@example.com"] }, "sam@example.com"],
    ["the block on throw-away domains", { blockDisposableEmailDomains: true }, "sam@mailinator.com"],
  ])("keeps out an address by %s", async (_what, settings, address) => {
    Object.assign(clerk.settings, settings);
    const refused = await refusal(client.users.createUser(legacyUser({ emailAddress: [address] })));
    expect(refused).toMatchObject({ status: 403, code: "not_allowed_access" });
  });

  test("keeps out a second sub-address where they are blocked, dots of Gmail not counting", async () => {
    clerk.settings.blockEmailSubaddresses = true;
    await client.users.createUser(legacyUser({ emailAddress: ["sam.hill+one@gmail.com"] }));
    const refused = await refusal(
      client.users.createUser(legacyUser({ emailAddress: ["samhill@gmail.com"], externalId: "8" })),
    );
    expect(refused).toMatchObject({ status: 403, code: "not_allowed_access" });
  });

  test("stops at a development instance's quota and says how many that is", async () => {
    const small = await startClerk({ limits: { users: 1 } });
    const users = clientOf(small).users;
    await users.createUser(legacyUser());
    const refused = await refusal(
      users.createUser(legacyUser({ emailAddress: ["two@example.com"], externalId: "8" })),
    );
    await small.stop();
    expect(refused).toMatchObject({ status: 403, code: "user_quota_exceeded" });
    expect(refused.text).toContain("limit of 1 users");
  });

  test("asks for a bigger plan where somebody is to be banned without one", async () => {
    clerk.settings.paidPlan = false;
    const refused = await refusal(client.users.createUser(legacyUser({ banned: true })));
    expect(refused).toMatchObject({ status: 402, code: "unsupported_subscription_plan_features" });
  });
});
