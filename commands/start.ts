import { MigrationError } from "../providers/errors";
import { signIn } from "../sandbox/clerk/sign-in";
import { sampleUsers } from "../sandbox/sample-users";
import { type Sandbox, startSandbox } from "../sandbox/sandbox";
import { describeDifference, snapshotDatabase } from "../sandbox/snapshot";
import { createWorkspace, sandboxEnvironment, type Workspace } from "../sandbox/workspace";
import { command, interrupted } from "./command";
import { runPulumi } from "./pulumi-cli/run";
import { initStack } from "./stack";

/**
 * `npm start [-- --keep]`: the whole migration of 44 sample users, there and back, between systems that exist for
 * this run alone. Whatever database or key the environment or `.env` names is never touched.
 */
const start = {
  usage: "npm start",
  says: "Plays the whole migration in a sandbox of its own, there and back.",
  flags: {
    keep: { type: "boolean", default: false, says: "stops before the way back, and keeps the sandbox" },
  },
} as const;

void command(start, async (values) => {
  say(
    "Two systems of our own: Postgres with 44 users, 36 of them to move, and a local Clerk that knows the other 8.",
  );
  const sandbox = await startSandbox();
  const workspace = await createWorkspace();
  try {
    await initStack(workspace);
    say(`A look into the local Clerk, while this runs: ${sandbox.clerk.url}`);
    const before = await snapshot(sandbox);

    await step(sandbox, workspace, "pulumi preview: what would happen", ["preview"]);
    expectSame("The preview", before, await snapshot(sandbox));
    say("Nothing has changed, in Postgres or in Clerk.");

    await step(sandbox, workspace, "pulumi up: create, link and invite", ["up", "--yes", "--skip-preview"]);
    const after = await snapshot(sandbox);
    await step(sandbox, workspace, "pulumi up again: nothing is left to do", [
      ...["up", "--yes", "--skip-preview", "--expect-no-changes"],
    ]);
    expectSame("The second up", after, await snapshot(sandbox));

    await signInWithOldPassword(sandbox);
    say(
      `${sandbox.clerk.store.outbox.length.toString()} invitations lie in the outbox. Of Postgres only clerk_user_id has changed:`,
    );
    for (const line of describeDifference(before.database, after.database))
      process.stdout.write(`  ${line}\n`);

    if (values.keep) return await keep(sandbox, workspace);
    say(
      "Whoever has signed in is not rolled back unless it is forced, as it is here: ROLLBACK_SIGNED_IN=delete.",
    );
    await step(
      sandbox,
      workspace,
      "pulumi destroy: all the way back",
      ["destroy", "--yes", "--skip-preview"],
      {
        ROLLBACK_SIGNED_IN: "delete",
      },
    );
    expectSame("The way back", before, await snapshot(sandbox));
    say("Both systems are as they were before. Your own: see README.md, “Running it on your own database”.");
    return 0;
  } finally {
    await sandbox.stop();
    await workspace.remove();
  }
});

interface Snapshot {
  readonly database: Awaited<ReturnType<typeof snapshotDatabase>>;
  readonly clerkUsers: string;
}

async function snapshot({ databaseUrl, clerk }: Sandbox): Promise<Snapshot> {
  // A sign-in shows in these two alone.
  const users = [...clerk.store.users.values()].map((user) => ({
    ...user,
    lastSignInAt: null,
    lastActiveAt: null,
  }));
  return { database: await snapshotDatabase(databaseUrl), clerkUsers: JSON.stringify(users) };
}

function expectSame(what: string, before: Snapshot, now: Snapshot): void {
  const differences = describeDifference(before.database, now.database);
  if (before.clerkUsers !== now.clerkUsers) differences.push("Clerk's users differ.");
  if (differences.length === 0) return;
  throw new MigrationError(
    "demo",
    `${what} has left a difference: ${differences.join(" ")}`,
    "This is a defect.",
  );
}

async function step(
  sandbox: Sandbox,
  workspace: Workspace,
  title: string,
  args: readonly string[],
  forced: Readonly<Record<string, string>> = {},
): Promise<void> {
  say(title, "\n── ");
  const own = { ...workspace.environment, ...sandbox.environment, ...forced };
  const environment = sandboxEnvironment(process.env, own);
  const exitCode = await runPulumi([...args, "--config-file", workspace.configFile, "--suppress-progress"], {
    environment,
    ...(process.stdout.isTTY ? {} : { onOutput: printQuietly() }),
  });
  if (exitCode === 0) return;
  throw new MigrationError(
    "demo",
    `pulumi ${args.join(" ")} ended with exit code ${exitCode.toString()}.`,
    "See above.",
  );
}

/** In a log file Pulumi writes a line when a resource begins and one when it ends: the second is enough here. */
function printQuietly(): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!/^ [ +~-] .* (create|delete|creating \(\d+s\)|deleting \(\d+s\)) $/.test(line))
        process.stdout.write(`${line}\n`);
    }
  };
}

async function signInWithOldPassword({ clerk }: Sandbox): Promise<void> {
  const user = sampleUsers.find((candidate) => candidate.clerkUserId === null);
  if (user === undefined) throw new Error("the sample has no legacy user");
  const result = await signIn(clerk.issuer, { identifier: user.email, password: user.password });
  if (result.status !== "complete") {
    throw new MigrationError(
      "demo",
      `User ${user.userId} could not sign in with the old password.`,
      "This is a defect.",
    );
  }
  say(`User ${user.userId} has signed in to Clerk with the old password.`);
}

async function keep(sandbox: Sandbox, workspace: Workspace): Promise<number> {
  say("Kept, as you asked. Postgres, Clerk and the stack's state stay until Ctrl-C.");
  const environment = { ...workspace.environment, ...sandbox.environment, DOTENV_CONFIG_PATH: "/dev/null" };
  for (const [name, value] of Object.entries(environment)) process.stdout.write(`export ${name}=${value}\n`);
  await interrupted();
  return 0;
}

function say(sentence: string, before = ""): void {
  process.stdout.write(`${before}${sentence}\n`);
}
