import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";

import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { clerkSettings } from "../../../sandbox/sandbox";
import { openTestSystems, SARAH, type TestSystems } from "../../systems";
import { startMain } from "./main-process";

const root = resolve(__dirname, "../../..");

let on: TestSystems;
let files: string;
beforeEach(async () => {
  on = await openTestSystems();
  files = await mkdtemp(join(tmpdir(), "both-logins-"));
});
afterEach(async () => {
  await Promise.all([on.close(), rm(files, { recursive: true })]);
});

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("There is no port.");
  return address.port.toString();
}

/** The commands of "Try it" behind the migration, each with what its comment promises. */
function tryIt(port: string) {
  const text = readFileSync(join(root, "examples/backend/README.md"), "utf8");
  const block = /```sh\n([^]*?)```/.exec(text)?.[1] ?? "";
  const lines = block
    .slice(block.indexOf("export CLERK_AUTHORIZED_PARTIES"))
    .replaceAll("3001", port)
    .split("\n");
  const promises = lines.flatMap((line) => /^curl .*# (.+)$/.exec(line)?.[1] ?? []);
  const script = lines.map((line) =>
    line.startsWith("curl ") ? `${line.replace(/ +# .*$/, "")}; echo` : line,
  );
  return { script: ["trap 'kill $(jobs -p)' EXIT", ...script].join("\n"), promises };
}

test("what the README has people try answers as it says", async () => {
  await ensureUser(on.systems, await on.declared(SARAH.userId));
  const port = await freePort();
  const { script, promises } = tryIt(port);
  expect(promises).toHaveLength(6);
  const { PATH = "", HOME = "" } = process.env;
  const shell = spawn(
    "bash",
    ["-c", script.replaceAll("/tmp/backend.log", "/dev/null").replaceAll(" jar ", ` ${join(files, "jar")} `)],
    {
      cwd: root,
      env: { PATH, HOME, PORT: port, ...clerkSettings(on.database.url, on.clerk) },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let printed = "";
  shell.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await once(shell, "close");
  const answers = printed.trim().split("\n");
  expect(answers).toHaveLength(promises.length);
  for (const [n, promise] of promises.entries()) {
    for (const part of promise.split("…")) expect(answers[n]).toContain(part.trim());
  }
});

test("the folder, copied, starts with npm start and a filled-in .env.example", async () => {
  await cp(join(root, "examples/backend"), files, { recursive: true });
  await symlink(join(root, "node_modules"), join(files, "node_modules"));
  const { scripts } = z
    .object({ scripts: z.object({ start: z.string() }) })
    .parse(JSON.parse(await readFile(join(files, "package.json"), "utf8")));
  const ours = clerkSettings(on.database.url, on.clerk);
  const filled = (await readFile(join(files, ".env.example"), "utf8")).replaceAll(
    /^([A-Z_]+)=(.*)$/gm,
    (_line, name: string, given: string) => `${name}=${ours[name] ?? given}`,
  );
  await writeFile(join(files, ".env"), `${filled}CLERK_API_URL=${on.clerk.url}\n`);
  const [command, ...args] = scripts.start.split(" ");
  expect(command).toBe("node");
  const main = await startMain({}, [], { cwd: files, args });
  try {
    expect(await fetch(`${main.url}/me`)).toMatchObject({ status: 401 });
  } finally {
    await main.stop();
  }
});
