import { readFileSync } from "node:fs";

import { expect } from "vitest";

import { configKeys } from "../../providers/settings";
import type { Password, User } from "../../sandbox/clerk/records";
import { connected } from "../../sandbox/postgres";
import { type Case, theCase } from "./the-case";

const OPTIONAL = { enabled: true, required: false };
const WORKS_AT_ONCE = /works in Clerk at once/;

const planOf = (the: Case) => the.plan();
const doctorOf = (the: Case) => the.doctor();

/** What Clerk has after an `up`, by the application's ids. */
async function madeBy(the: Case): Promise<ReadonlyMap<string, User>> {
  await the.up();
  return new Map([...the.on.clerk.store.users.values()].map((user) => [user.externalId ?? "", user]));
}

function passwordOf(made: ReadonlyMap<string, User>, userId: string): Password | null | undefined {
  return made.get(userId)?.password;
}

theCase(
  "f05-bcrypt-over-a-prehash",
  "a setting says which hasher it is, and nobody promises what a shape cannot show",
  planOf,
  ({ text }) => {
    expect(configKeys.some((key) => /hasher/i.test(key))).toBe(true);
    expect(text).not.toMatch(WORKS_AT_ONCE);
  },
  { fails: true },
);

theCase(
  "f05-devise-pepper",
  "a setting names the pepper, and nobody promises what a shape cannot show",
  planOf,
  ({ text }) => {
    expect(configKeys.some((key) => /pepper/i.test(key))).toBe(true);
    expect(text).not.toMatch(WORKS_AT_ONCE);
  },
  { fails: true },
);

theCase("f05-keycloak-pbkdf2-sha256", "a salt in base64 is no salt of Django's", madeBy, (made) => {
  expect(passwordOf(made, "a1")?.hasher).toBe("pbkdf2_sha256");
});

theCase(
  "f06-django-argon2",
  "Django's prefix is taken off an argon2 hash, and the password is carried",
  madeBy,
  (made) => {
    expect(passwordOf(made, "1")).toMatchObject({ hasher: "argon2id" });
    expect(passwordOf(made, "1")?.digest).toMatch(/^\$argon2id\$/);
  },
  { fails: true },
);

theCase(
  "f06-md5-and-symfony",
  "md5 and Symfony's SHA-512 are sent under their names",
  madeBy,
  (made) => {
    expect(passwordOf(made, "1")?.hasher).toBe("md5");
    expect(passwordOf(made, "2")?.hasher).toBe("sha512_symfony");
  },
  { fails: true },
);

theCase(
  "f06-spring-prefixed-bcrypt",
  "Spring's prefix is taken off a bcrypt hash, and the password is carried",
  madeBy,
  (made) => {
    expect(passwordOf(made, "1")).toMatchObject({ hasher: "bcrypt" });
    expect(passwordOf(made, "1")?.digest).toMatch(/^\$2b\$/);
  },
  { fails: true },
);

theCase(
  "f07-summary-aspnet",
  "the summary counts who keeps the password and who sets a new one",
  planOf,
  ({ text }) => {
    expect(text).toContain("Passwords: 1 carried over; 1 sets a new one, for whom the mail is the way in");
    expect(text).toContain("create  1  Clerk takes no password hash of this form");
    expect(text).toContain(
      "Mail: 2 invitations by Clerk; for 1 of them the link leads to the first sign-in, nobody else has to follow it.",
    );
    expect(text).not.toContain("nobody has to follow the link");
  },
);

theCase("f08-django-unusable", "a text that means no password is no password hash", planOf, ({ of }) => {
  expect(of("1")).toMatchObject({ verdict: "excluded", code: "no-digest" });
});

theCase("f09-deleted-infinity", "a deletion that never comes is none", planOf, ({ of }) => {
  expect(of("1").verdict).toBe("create");
});

theCase("f09-supabase-banned-until", "a ban that is over is none", planOf, ({ of }) => {
  expect(of("1").verdict).toBe("create");
});

theCase(
  "f10-created-infinity",
  "a sign-up date that cannot be sent is a note that names the rows",
  planOf,
  ({ text, of }) => {
    expect([of("1").verdict, of("2").verdict]).toEqual(["create", "create"]);
    expect(text).toMatch(/note {2}2 .*sign-up date.*: 1, 2$/m);
  },
);

theCase("f11-json-null", "the JSON value null is no metadata", planOf, ({ of }) => {
  expect(of("1")).toMatchObject({ verdict: "create", code: "new" });
});

theCase("f13-email-punycode-tld", "a top-level domain in Punycode is one", planOf, ({ of }) => {
  expect(of("1").verdict).toBe("create");
});

theCase(
  "f14-view-with-trigger-below",
  "the trigger of the table below a view is found",
  doctorOf,
  ({ of }) => {
    const [found, ...more] = of("database/triggers");
    expect(more).toEqual([]);
    expect(found?.status).not.toBe("ok");
    expect(found?.sentence).toMatch(/audit.*base_users/);
  },
);

theCase(
  "f17-better-auth-account",
  "docs and finding say how a digest of another table is reached",
  doctorOf,
  ({ of }) => {
    expect(of("database/columns")[0]?.remedy).toContain("docs/settings.md");
    expect(readFileSync("docs/settings.md", "utf8")).toContain("The digest is in another table");
  },
);

theCase(
  "f18-link-empty-text",
  "an empty text is no link: such a row is a legacy row, and takes one",
  async (the) => {
    // The head's doctor ran after this.
    await the.on.query("alter table users alter clerk_user_id drop not null");
    const { of } = await the.plan();
    await the.up();
    const linked = await the.on.query<{ link: string }>("select clerk_user_id as link from users order by 1");
    return { verdicts: [of("1").verdict, of("2").verdict], links: linked.map(({ link }) => link) };
  },
  ({ verdicts, links }) => {
    expect(verdicts).toEqual(["create", "create"]);
    for (const link of links) expect(link).toMatch(/^user_/);
  },
);

theCase(
  "f19-required-username",
  "a setting lets Clerk's components ask for what is required and missing",
  planOf,
  ({ of }) => {
    expect(of("1").remedy).toContain("skip_user_requirement");
  },
  { clerk: { settings: { attributes: { username: { enabled: true, required: true } } } }, fails: true },
);

theCase(
  "f20-view-instead-of-update",
  "a view whose trigger takes the link is accepted",
  async (the) => {
    const examined = await the.doctor();
    const written = await connected(the.on.database.url, (client) =>
      client.query("update users set clerk_user_id = 'user_x' where user_id = 1"),
    );
    return { table: examined.of("database/table"), written: written.rowCount };
  },
  ({ table, written }) => {
    expect(written).toBe(1);
    expect(table.map(({ status }) => status)).not.toContain("problem");
  },
);

theCase(
  "f12-phone-trunk-zero",
  "a trunk zero in brackets is left out of the number, with a note",
  async (the) => {
    const { text } = await the.plan();
    return { text, made: await madeBy(the) };
  },
  ({ text, made }) => {
    expect(made.get("1")?.phoneNumbers.map(({ phoneNumber }) => phoneNumber)).toEqual(["+442079460018"]);
    expect(text).toMatch(/note {2}1 .*\(0\).*: 1$/m);
  },
  { clerk: { settings: { attributes: { phone_number: OPTIONAL } } } },
);
