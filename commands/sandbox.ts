import { writeFile } from "node:fs/promises";

import { startSandbox } from "../sandbox/sandbox";
import { createWorkspace } from "../sandbox/workspace";
import { command, interrupted } from "./command";
import { initStack } from "./stack";

/** `npm run sandbox [-- --env-file PATH]`: keeps both systems running and says how plain Pulumi finds them. */
const sandboxCommand = {
  usage: "npm run sandbox",
  says: "Keeps Postgres and a local Clerk running until Ctrl-C, and prints how plain Pulumi finds them.",
  flags: { "env-file": { type: "string", value: "file", says: "also writes that into a file" } },
} as const;

void command(sandboxCommand, async (values) => {
  const sandbox = await startSandbox();
  const workspace = await createWorkspace();
  try {
    await initStack(workspace);
    // Nothing of a real `.env` may fill in what is missing here.
    const environment = { ...sandbox.environment, ...workspace.environment, DOTENV_CONFIG_PATH: "/dev/null" };
    const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    for (const line of lines) process.stdout.write(`export ${line}\n`);
    const envFile = values["env-file"];
    if (envFile !== undefined) await writeFile(envFile, `${lines.join("\n")}\n`, { mode: 0o600 });
    process.stderr.write(
      [
        "",
        `Postgres with 44 sample users and a local Clerk are running. Users, outbox and requests: ${sandbox.clerk.url}`,
        "Paste the lines above into another shell, in this checkout, and run pulumi preview, up, refresh or destroy.",
        "Ctrl-C stops both and forgets everything.",
        "",
      ].join("\n"),
    );
    await interrupted();
  } finally {
    await sandbox.stop();
    await workspace.remove();
  }
  return 0;
});
