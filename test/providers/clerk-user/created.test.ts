import { pbkdf2Sync, randomBytes, scryptSync } from "node:crypto";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { markKey } from "../../../providers/clerk/user";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { hasherOf } from "../../../providers/postgres/legacy-users";
import { MARCUS, openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;

let on: TestSystems;
beforeEach(async () => {
  on = await openTestSystems();
});
afterEach(() => on.close());

/** Made from the row as it is now. */
async function created(changes: Readonly<Record<string, string>> = {}) {
  await on.restartWith(changes);
  await ensureUser(on.systems, await on.declared(userId, changes));
  return on.live(userId);
}

const salt = randomBytes(12).toString("hex");
const sha = (algorithm: string, length: number) => pbkdf2Sync("correct", salt, 1_000, length, algorithm);
const bcrypt = SARAH.passwordDigest ?? "";

describe("a digest is carried under Clerk's name for it", () => {
  test.each([
    ["bcrypt", bcrypt],
    ["bcrypt", bcrypt.replace(/^\$2[aby]\$/, "$2y$")],
    ["bcrypt_sha256_django", `bcrypt_sha256$${bcrypt}`],
    ["pbkdf2_sha256_django", `pbkdf2_sha256$1000$${salt}$${sha("sha256", 32).toString("base64")}`],
    ["pbkdf2_sha256", `pbkdf2_sha256$1000$x/bm4Y3DcuV9eU97ervkPA==$${sha("sha256", 32).toString("base64")}`],
    ["pbkdf2_sha1", `pbkdf2_sha1$1000$${salt}$${sha("sha1", 20).toString("hex")}`],
    ["scrypt_werkzeug", `scrypt:16384:8:1$${salt}$${scryptSync("correct", salt, 64).toString("hex")}`],
    ["argon2id", "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CWgFVNNBwm1KQrTRsXqpqQ"],
    ["argon2i", "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CWgFVNNBwm1KQrTRsXqpqQ"],
    ["phpass", "$P$B12345678WKxNJ5VSMIWOyUDtCGNnr1"],
  ])("%s", async (hasher, digest) => {
    expect(hasherOf(digest)).toBe(hasher);
    await on.query("update users set password_hash = $1 where user_id = $2", [digest, userId]);
    expect((await created())?.password).toMatchObject({ hasher, digest });
  });

  test.each(["5f4dcc3b5aa765d61d8327deb882cf99", "not a digest", "$1$salt$qJH7.N4xYta3aEG/dfqo/0"])(
    "%s has none: that user sets a password at the first sign-in",
    async (digest) => {
      expect(hasherOf(digest)).toBeNull();
      await on.query("update users set password_hash = $1 where user_id = $2", [digest, userId]);
      expect((await created({ passwords: "reset" }))?.password).toBeNull();
    },
  );
});

test("everything that columns say of a user arrives in Clerk", async () => {
  await on.query(`alter table users add handle text, add phone text, add plan jsonb, add notes jsonb`);
  await on.query(
    `update users set handle = 'Sarah_C', phone = '+1 415 555 2671', plan = '{"tier":"pro"}', notes = '{"risk":3}'
     where user_id = $1`,
    [userId],
  );
  const optional = { enabled: true, required: false };
  const { attributes } = on.clerk.settings;
  on.clerk.settings.attributes = { ...attributes, username: optional, phone_number: optional };
  const user = await created({
    usernameColumn: "handle",
    phoneColumn: "phone",
    publicMetadataColumn: "plan",
    privateMetadataColumn: "notes",
  });
  expect(user).toMatchObject({
    username: "sarah_c",
    phoneNumbers: [{ phoneNumber: "+14155552671" }],
    publicMetadata: { tier: "pro" },
    privateMetadata: { risk: 3, [markKey]: { migration: on.migration.migrationId } },
    emailAddresses: [{ emailAddress: SARAH.email, status: "verified" }],
  });
});

test("an address that nobody has proven stays unproven, and nobody else can take it", async () => {
  const user = await created({ emailVerified: "none" });
  expect(user?.emailAddresses).toMatchObject([{ emailAddress: SARAH.email, status: "reserved" }]);
});

test("consent and Device Trust are spared where the stack says so, and only there", async () => {
  on.clerk.settings.legalConsentRequired = true;
  await expect(created()).rejects.toThrow(`The plan leaves ${userId} out.`);
  expect(await created({ legalConsent: "skip" })).toMatchObject({ bypassClientTrust: false });
  const other = await on.declared(MARCUS.userId, { legalConsent: "skip", bypassDeviceTrust: "true" });
  await on.restartWith({ legalConsent: "skip", bypassDeviceTrust: "true" });
  await ensureUser(on.systems, other);
  expect(on.live(MARCUS.userId)).toMatchObject({ bypassClientTrust: true });
});
