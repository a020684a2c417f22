import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { messageOf } from "../../providers/errors";
import { configKeys, loadDotEnv, parseConnection, parseSettings } from "../../providers/settings";

const environment = {
  DATABASE_URL: "postgres://app:s3cret@localhost:5432/app",
  CLERK_SECRET_KEY: "sk_test_abc",
  CLERK_ISSUER_URL: "https://clerk.example.com",
};
const none = { values: {}, isSecret: () => true };

const problemsOf = (
  variables: Record<string, string>,
  values: Record<string, string> = {},
  isSecret = true,
) => {
  try {
    parseSettings(variables, { values, isSecret: () => isSecret });
  } catch (error) {
    return messageOf(error);
  }
  return "no problem";
};

describe("parseSettings", () => {
  test("needs three settings and has a default for every other", () => {
    expect(parseSettings(environment, none)).toMatchObject({
      clerkApiUrl: "https://api.clerk.com",
      passwords: "carry",
      notify: "invitation",
      rollback: "delete",
      rollbackSignedIn: "refuse",
      allowRemovals: 0,
    });
  });

  test("takes the environment before stack config, and an empty value as none", () => {
    const config = {
      values: { clerkSecretKey: "sk_test_stored", clerkIssuerUrl: "https://stored.example.com", email: "" },
      isSecret: () => true,
    };
    const settings = parseSettings({ ...environment, CLERK_ISSUER_URL: "", MIGRATE_EMAIL: " " }, config);
    expect(settings).toMatchObject({
      clerkSecretKey: "sk_test_abc",
      clerkIssuerUrl: "https://stored.example.com",
    });
    expect(settings.email).toBeUndefined();
  });

  test("reports every problem in one error, each with its remedy", () => {
    expect(problemsOf({}, { notfy: "none", passwords: "maybe" })).toMatchInlineSnapshot(`
      "5 settings need your attention: 
        - notfy is not a setting of this program. Remove it with \`pulumi config rm notfy\`; Pulumi.yaml lists those that are.
        - DATABASE_URL is not set: it says which Postgres holds the users table, e.g. postgres://user:password@host:5432/app. Set DATABASE_URL in the environment or in .env, or run \`pulumi config set --secret databaseUrl …\`.
        - CLERK_SECRET_KEY is not set: it is the key of the Clerk instance that the users move to (dashboard, API keys). Set CLERK_SECRET_KEY in the environment or in .env, or run \`pulumi config set --secret clerkSecretKey …\`.
        - CLERK_ISSUER_URL is not set: it is the Frontend API of the same Clerk instance, e.g. https://clerk.example.com (dashboard, API keys). Set CLERK_ISSUER_URL in the environment or in .env, or run \`pulumi config set clerkIssuerUrl …\`.
        - passwords has to be carry or reset. Correct it, or remove it for the default, carry."
    `);
  });

  test("refuses keys that stand unencrypted in the config, and does not print them", () => {
    const text = problemsOf(
      { CLERK_ISSUER_URL: environment.CLERK_ISSUER_URL },
      { databaseUrl: environment.DATABASE_URL, clerkSecretKey: "sk_test_abc" },
      false,
    );
    expect(text).toContain("databaseUrl stands unencrypted");
    expect(text).toContain("clerkSecretKey stands unencrypted");
    expect(text).not.toMatch(/s3cret|sk_test_abc/);
  });

  test("refuses a live key on a stack that is not meant for production", () => {
    const live = { ...environment, CLERK_SECRET_KEY: "sk_live_abc" };
    expect(problemsOf(live)).toContain("allowProduction true");
    expect(
      parseSettings(live, { values: { allowProduction: "true" }, isSecret: () => true }).allowProduction,
    ).toBe(true);
  });

  test.each(["http://app.example.com/sign-in", "ftp://localhost", "sign-in"])(
    "refuses %s as a redirect",
    (url) => {
      expect(problemsOf({ ...environment, CLERK_INVITE_REDIRECT_URL: url })).toContain(
        "CLERK_INVITE_REDIRECT_URL has to be an https address",
      );
    },
  );

  test("allows http on localhost", () => {
    expect(problemsOf({ ...environment, CLERK_INVITE_REDIRECT_URL: "http://localhost:3000/sign-in" })).toBe(
      "no problem",
    );
  });

  test("never takes what decides a rollback from stored config", () => {
    expect(problemsOf(environment, { rollbackSignedIn: "delete" })).toContain(
      "rollbackSignedIn is not a setting",
    );
    expect(
      parseConnection(environment, (key) => ({ rollbackSignedIn: "delete" })[key]).rollbackSignedIn,
    ).toBe("refuse");
  });
});

test("Pulumi.yaml declares each setting, with a type, a description and the default that the program has", () => {
  const file = z
    .object({
      config: z.record(
        z.string(),
        z.object({
          type: z.string(),
          description: z.string().min(20),
          default: z.union([z.string(), z.number(), z.boolean()]),
        }),
      ),
    })
    .parse(parse(readFileSync(join(__dirname, "../../Pulumi.yaml"), "utf8")));
  expect(Object.keys(file.config).sort()).toEqual([...configKeys].sort());

  // The engine hands defaults over as text.
  const values = Object.fromEntries(
    Object.entries(file.config).map(([key, entry]) => [key, String(entry.default)]),
  );
  expect(parseSettings(environment, { values, isSecret: () => true })).toEqual(
    parseSettings(environment, none),
  );
});

test("reads .env, or the file that DOTENV_CONFIG_PATH names, and what is set already wins", () => {
  const directory = mkdtempSync(join(tmpdir(), "clerk-migration-dotenv-"));
  const before = { ...process.env };
  try {
    const file = join(directory, "some.env");
    writeFileSync(file, "CLERK_ISSUER_URL=https://from.file\nCLERK_API_URL=https://file.example.com\n");
    process.env.DOTENV_CONFIG_PATH = file;
    process.env.CLERK_API_URL = "https://environment.example.com";
    loadDotEnv();
    expect(process.env.CLERK_ISSUER_URL).toBe("https://from.file");
    expect(process.env.CLERK_API_URL).toBe("https://environment.example.com");

    process.env.DOTENV_CONFIG_PATH = join(directory, "missing.env");
    expect(loadDotEnv).not.toThrow();
  } finally {
    process.env = before;
    rmSync(directory, { recursive: true });
  }
});
