import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

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
  };

  test("have defaults that shut the door on arrival and set nothing in Clerk", () => {
    expect(parseSettings({ ...given, LEGACY_LOGIN: "", TRICKLE: " " })).toMatchObject({
      legacyLogin: "until-arrived",
      trickle: false,
      clerkIssuerUrl: "https://clerk.example.com",
      secureCookies: true,
    });
  });

  test("report every problem in one error, and never a value", () => {
    const wrong = { CLERK_SECRET_KEY: "pk_wrong", LEGACY_LOGIN: "maybe", TRICKLE: "yes", BCRYPT_COST: "31" };
    expect(() => parseSettings(wrong)).toThrowErrorMatchingInlineSnapshot(`
      [Error: The settings need your attention:
        - DATABASE_URL is not set.
        - CLERK_SECRET_KEY is not a Clerk secret key: it starts with sk_.
        - CLERK_ISSUER_URL is not set.
        - LEGACY_LOGIN has to be until-arrived, on or off.
        - TRICKLE has to be on or off.
        - BCRYPT_COST has to be between 4 and 15.]
    `);
  });
});
