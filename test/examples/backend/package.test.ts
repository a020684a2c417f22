import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";

import { describe, expect, test } from "vitest";
import { z } from "zod";

import { parseSettings, variables } from "../../../examples/backend/settings";

const root = resolve(__dirname, "../../..");
const example = join(root, "examples/backend");
const read = (...path: string[]) => readFileSync(join(...path), "utf8");

const versions = z.record(z.string(), z.string());
const packageSchema = z
  .object({
    dependencies: versions,
    devDependencies: versions,
    overrides: versions,
    engines: versions,
  })
  .transform(({ dependencies, devDependencies, ...others }) => ({
    needed: { ...dependencies, ...devDependencies },
    ...others,
  }));

test("the example is tested with the very versions that its package.json names", () => {
  const own = packageSchema.parse(JSON.parse(read(example, "package.json")));
  const tested = packageSchema.parse(JSON.parse(read(root, "package.json")));
  expect(tested.needed).toMatchObject(own.needed);
  expect(tested.overrides).toMatchObject(own.overrides);
  expect(own.engines).toEqual(tested.engines);
});

test("the README names every variable, and no other", () => {
  const named = [...read(example, "README.md").matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name);
  expect(named).toEqual(variables);
});

test(".env.example, copied, is complete and right but for its values", () => {
  const text = read(example, ".env.example");
  expect(parseSettings(parseEnv(text))).toMatchObject({ authorizedParties: ["https://app.example.com"] });
  const named = text.match(/^(?:# )?([A-Z_]+)=/gm)?.map((line) => line.replace(/^# |=$/g, ""));
  expect(named?.filter((name) => !variables.includes(name))).toEqual([]);
});

test("every link of the README leads to a file", () => {
  const links = [...read(example, "README.md").matchAll(/\]\((?!https?:)([^)#]+)/g)].map(
    ([, path]) => path ?? "",
  );
  expect(links.filter((path) => !existsSync(join(example, path)))).toEqual([]);
});

describe("settings", () => {
  const given = {
    DATABASE_URL: "postgres://localhost/app",
    CLERK_SECRET_KEY: "sk_test_x",
    CLERK_ISSUER_URL: "https://clerk.example.com/",
    CLERK_AUTHORIZED_PARTIES: "https://app.example.com",
  };

  test("have defaults that shut the door on arrival and set nothing in Clerk", () => {
    expect(parseSettings({ ...given, LEGACY_LOGIN: "", TRICKLE: " " })).toMatchObject({
      legacyLogin: "until-arrived",
      trickle: false,
      clerkIssuerUrl: "https://clerk.example.com",
      secureCookies: true,
    });
  });

  test.each([
    ["CLERK_ISSUER_URL", "http://clerk.example.com"],
    ["CLERK_API_URL", "http://10.0.0.7:8080"],
    ["CLERK_API_URL", "http://localhost.example.com"],
    ["CLERK_AUTHORIZED_PARTIES", "https://app.example.com, http://app.example.com"],
    ["DATABASE_URL", "postgres://user:password@db.example.com/app"],
    ["DATABASE_URL", "postgres://user:password@localhost/app?host=10.0.0.7"],
  ])("refuse a %s that leaves this machine unencrypted: %s", (name, value) => {
    expect(() => parseSettings({ ...given, [name]: value })).toThrow(name);
  });

  test.each([
    ["CLERK_ISSUER_URL", "http://127.0.0.1:4001"],
    ["CLERK_API_URL", "http://localhost:4000"],
    ["CLERK_API_URL", "http://[::1]:4000"],
    ["CLERK_AUTHORIZED_PARTIES", "http://localhost:3000,https://app.example.com"],
    ["DATABASE_URL", "postgres://user:password@db.example.com/app?sslmode=verify-full"],
    ["DATABASE_URL", "postgres://user:password@db/app?sslmode=disable"],
    ["DATABASE_URL", "postgres:///app?host=/var/run/postgresql"],
  ])("take a %s that does not, or says so: %s", (name, value) => {
    expect(() => parseSettings({ ...given, [name]: value })).not.toThrow();
  });

  test.each([
    "app.example.com",
    "https://app.example.com/",
    "https://*.example.com/x",
    "https://a.example.com,",
  ])("refuse %s for the origin of a front end", (origins) => {
    expect(() => parseSettings({ ...given, CLERK_AUTHORIZED_PARTIES: origins })).toThrow("takes origins");
  });

  test("refuse cookies that travel unencrypted where others are let in", () => {
    const open = { ...given, SECURE_COOKIES: "off", HOST: "0.0.0.0" };
    expect(() => parseSettings(open)).toThrow("SECURE_COOKIES=off is for this machine alone");
    expect(parseSettings({ ...given, SECURE_COOKIES: "off" })).toMatchObject({ secureCookies: false });
  });

  test("report every problem in one error, and never a value", () => {
    const wrong = { CLERK_SECRET_KEY: "pk_wrong", LEGACY_LOGIN: "maybe", TRICKLE: "yes", BCRYPT_COST: "31" };
    expect(() => parseSettings(wrong)).toThrowErrorMatchingInlineSnapshot(`
      [Error: The settings need your attention:
        - DATABASE_URL is not set.
        - CLERK_SECRET_KEY is not a Clerk secret key: it starts with sk_.
        - CLERK_ISSUER_URL is not set.
        - CLERK_AUTHORIZED_PARTIES is not set: it takes the origins of your front ends, with commas.
        - LEGACY_LOGIN has to be until-arrived, on or off.
        - TRICKLE has to be on or off.
        - BCRYPT_COST has to be between 4 and 15.]
    `);
  });
});
