import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { openServer } from "../../examples/backend/server";
import { parseSettings } from "../../examples/backend/settings";
import { openSystems } from "../../examples/backend/systems";
import { signIn } from "../../sandbox/clerk/sign-in";
import { connected } from "../../sandbox/postgres";
import { sampleUsers } from "../../sandbox/sample-users";
import { clerkSettings } from "../../sandbox/sandbox";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { SARAH } from "../systems";
import { type Stack, startStack } from "./stack";

const legacy = sampleUsers.filter((user) => user.clerkUserId === null);
const STACK = "clerk-migration/sandbox";
/** Of the application's front end. */
const ORIGIN = "https://app.example.com";
const keys = [randomBytes(32), randomBytes(32)].map((bytes) => bytes.toString("base64"));
const [first = "", second = ""] = keys;
/** Calls support, and has not signed in with Clerk. */
const CALLER = legacy.at(-1) ?? SARAH;

let stack: Stack;
let printed = "";
let variables: Record<string, string> = {};
beforeAll(async () => {
  stack = await startStack();
  await stack.configure({ retireAfterDays: "0", purgeAfterDays: "0" });
});
afterAll(async () => {
  expect(await stack.stop()).toEqual([]);
});

interface Step {
  readonly heading: string;
  readonly command: string;
}

/** Every command of the runbook, in its order. */
async function steps(): Promise<Step[]> {
  const found: Step[] = [];
  let [heading, isShell] = ["", false];
  for (const line of (await readFile("docs/runbook.md", "utf8")).split("\n")) {
    if (line.startsWith("## ")) heading = line.slice(3);
    if (line.startsWith("```")) isShell = line === "```sh";
    else if (isShell) found.push({ heading, command: line });
  }
  return found;
}

const scriptsSchema = z.object({ scripts: z.record(z.string(), z.string()) });

/** As a person would run it, with the placeholders filled in; `npm run` itself would only be slower. */
async function run(command: string): Promise<number | null> {
  const { scripts } = scriptsSchema.parse(JSON.parse(await readFile("package.json", "utf8")));
  const [, assignment = "", script = "", rest = ""] =
    /^(?:([A-Z_]+=\S+) )?npm run (\S+)(?: -- (.*))?$/.exec(command) ?? [];
  const [, file = "", own = ""] =
    /^exec node --import tsx (\S+)(?: (.*))?$/.exec(scripts[script] ?? "") ?? [];
  if (file === "") throw new Error(`The runbook's command starts nothing: ${command}`);
  const filled = rest
    .replaceAll("<user_id>", CALLER.userId)
    .replaceAll("<project>/<stack>", STACK)
    .replaceAll(/(\S+\.(html|csv))/g, (name: string) => join(stack.directory, name));
  const [name = "", value = ""] = assignment.replace("someone@example.com", SARAH.email).split("=");
  // `pulumi config` takes the file behind its verb; the stack is the selected one everywhere.
  const where = ["--config-file", stack.configFile];
  const child = spawn(
    process.execPath,
    ["--import", "tsx", file, ...own.split(" "), ...filled.split(" "), ...where].filter((arg) => arg !== ""),
    {
      env: { ...stack.environment, ...variables, ...(name === "" ? {} : { [name]: value }) },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await once(child, "close");
  return child.exitCode;
}

/** The backend with this setting, for as long as somebody asks it something. */
async function asking<T>(login: string, work: (url: string) => Promise<T>): Promise<T> {
  const systems = openSystems(
    parseSettings({
      ...clerkSettings(stack.databaseUrl, stack.clerk),
      CLERK_INSTANCE_ID: stack.clerk.instanceId,
      CLERK_AUTHORIZED_PARTIES: ORIGIN,
      LEGACY_LOGIN: login,
      POLL_SECONDS: "0",
      SECURE_COOKIES: "off",
      LOGIN_TRIES_PER_ADDRESS: "1000",
      LOGIN_TRIES_PER_IP: "1000",
    }),
  );
  const app = await openServer(systems, { write: (line) => (printed += line) });
  try {
    return await work(await app.listen({ host: "127.0.0.1", port: 0 }));
  } finally {
    await app.close();
    await systems.database.end();
  }
}

/** What Sarah sees after the old login; undefined where it does not let her in. */
async function byOldDoor(url: string, user = SARAH): Promise<string | undefined> {
  const answer = await fetch(`${url}/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: user.email, password: user.password }),
  });
  if (!answer.ok) return undefined;
  const cookie = answer.headers
    .getSetCookie()
    .map((line) => line.split(";")[0])
    .join("; ");
  return (await fetch(`${url}/chat-sessions`, { headers: { cookie } })).text();
}

async function byClerk(url: string): Promise<string | undefined> {
  const credentials = { identifier: SARAH.email, password: SARAH.password };
  const session = await signIn(stack.clerk.issuer, credentials, ORIGIN);
  if (session.status !== "complete") return undefined;
  const answer = await fetch(`${url}/chat-sessions`, {
    headers: { authorization: `Bearer ${session.token}` },
  });
  return answer.ok ? answer.text() : undefined;
}

const digestsGone = () =>
  connected(stack.databaseUrl, async (client) => {
    const { rows } = await client.query<{ user_id: string }>(
      "select user_id from clerk_migration.retired_passwords where status in ('retired', 'purged')",
    );
    return rows.map(({ user_id }) => user_id);
  });

test("the runbook, command by command, with both logins in front, shows the same data throughout", async () => {
  const seen = await asking("until-arrived", (url) => byOldDoor(url));
  const before = await snapshotDatabase(stack.databaseUrl);
  expect(seen).toContain("prompts");

  /** What has to hold when the commands below a heading have run. */
  const then: Readonly<Record<string, () => Promise<void>>> = {
    "Two weeks before: look": async () => {
      expect(describeDifference(before, await snapshotDatabase(stack.databaseUrl))).toEqual([]);
    },
    "One user": async () => {
      await asking("until-arrived", async (url) => {
        expect(await byOldDoor(url)).toBe(seen);
        expect(await byOldDoor(url, CALLER)).toBeDefined();
      });
      // The mail of the first life was taken back; there is one for each life.
      expect(stack.clerk.store.outbox.map(({ to }) => to)).toEqual([SARAH.email, SARAH.email]);
    },
    Everybody: async () => {
      await asking("until-arrived", async (url) => {
        expect(await byOldDoor(url)).toBe(seen);
        expect(await byClerk(url)).toBe(seen);
        // From the first sign-in with Clerk on the old door is shut, for her alone.
        expect(await byOldDoor(url)).toBeUndefined();
        expect(await byOldDoor(url, CALLER)).toBeDefined();
      });
    },
    "Somebody calls support": async () => {
      const { rows } = await connected(stack.databaseUrl, (client) =>
        client.query<{ link: string | null }>("select clerk_user_id as link from users where user_id = $1", [
          CALLER.userId,
        ]),
      );
      expect(rows[0]?.link).toBeNull();
      await asking("until-arrived", async (url) => {
        expect(await byOldDoor(url, CALLER)).toBeDefined();
      });
    },
    "Before the old door is shut": async () => {
      await asking("off", async (url) => {
        expect(await byOldDoor(url, CALLER)).toBeUndefined();
        expect(await byClerk(url)).toBe(seen);
      });
      variables = { DIGEST_SEAL_KEY: first, DIGEST_SEAL_KEY_NEW: second };
    },
    "Retire the digests": async () => {
      expect(await digestsGone()).toEqual([SARAH.userId]);
      variables = { DIGEST_SEAL_KEY: second };
      await asking("off", async (url) => {
        expect(await byClerk(url)).toBe(seen);
      });
      // Nobody would want to open the old door again; it would not let her in, whatever the setting.
      await asking("on", async (url) => {
        expect(await byOldDoor(url)).toBeUndefined();
      });
    },
    "All the way back": async () => {
      await asking("on", async (url) => {
        expect(await byOldDoor(url)).toBe(seen);
        expect(await byClerk(url)).toBe(seen);
      });
      // She has arrived once more, so her digest goes once more.
      await run("npm run up -- --yes");
      expect(await digestsGone()).toEqual([SARAH.userId]);
    },
    Purge: async () => {
      const refused = await run("ROLLBACK_SIGNED_IN=delete npm run destroy -- --yes");
      expect(refused).not.toBe(0);
      expect(printed).toContain("the legacy digest has been purged");
      await asking("off", async (url) => {
        expect(await byClerk(url)).toBe(seen);
      });
    },
  };
  /** Where a no is what the runbook says. */
  const expected: Readonly<Record<string, number>> = {
    "Two weeks before: look: npm run doctor": 2,
    "One user: npm run verify": 1,
    "Before the old door is shut: npm run gate -- --for legacy-off": 1,
    "Retire the digests: npm run verify": 0,
  };

  const commands = await steps();
  const headings = new Set(commands.map(({ heading }) => heading));
  for (const heading of Object.keys(then)) expect(headings).toContain(heading);
  for (const [index, { heading, command }] of commands.entries()) {
    const exitCode = await run(command);
    expect(exitCode, `${heading}: ${command}\n${printed.slice(-3_000)}`).toBe(
      expected[`${heading}: ${command}`] ?? 0,
    );
    if (commands[index + 1]?.heading !== heading) await then[heading]?.();
  }

  const after = describeDifference(before, await snapshotDatabase(stack.databaseUrl));
  expect(after.filter((difference) => /chat_sessions|prompts/.test(difference))).toEqual([]);
  for (const secret of [...keys, ...legacy.map(({ passwordDigest }) => passwordDigest ?? "")])
    expect(printed).not.toContain(secret);
}, 600_000);
