import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A Pulumi home, back end and stack of its own, outside the checkout and away from the user's. */
export interface Workspace {
  readonly directory: string;
  /** For `--config-file`: keeps the stack's config, with its encryption salt, out of the checkout. */
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export const sandboxStack = "sandbox";

/** Creates the folders; the stack itself is made by `pulumi stack init` in `directory`. */
export async function createWorkspace(): Promise<Workspace> {
  const directory = await mkdtemp(join(tmpdir(), "clerk-migration-"));
  const home = join(directory, "home");
  const state = join(directory, "state");
  await Promise.all([mkdir(home), mkdir(state)]);
  // `pulumi stack init` writes the salt beside the project it finds: this one, of the same name.
  await writeFile(join(directory, "Pulumi.yaml"), "name: clerk-migration\nruntime: nodejs\n");
  return {
    directory,
    configFile: join(directory, `Pulumi.${sandboxStack}.yaml`),
    environment: {
      PULUMI_HOME: home,
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_STACK: sandboxStack,
      // Protects nothing: everything here is made up, and gone with the folder.
      PULUMI_CONFIG_PASSPHRASE: "sandbox",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    },
    remove: () => rm(directory, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** Variables that could lead a sandbox to somebody's real systems, or a Pulumi stack of theirs. */
const leading =
  /^(PULUMI_|CLERK_|DATABASE_URL$|PG[A-Z]+$|MIGRATE_|ROLLBACK|CANARY_|SMTP_|MAIL_|APP_NAME$|DIGEST_SEAL|NOTIFY|DOTENV_)/;

/**
 * An environment that knows the sandbox alone: of the given one, nothing that names a database, a Clerk instance
 * or a stack, and no `.env` either.
 */
export function sandboxEnvironment(
  given: Readonly<Record<string, string | undefined>>,
  sandbox: Readonly<Record<string, string>>,
): Record<string, string> {
  const kept = Object.entries(given).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !leading.test(entry[0]),
  );
  return { ...Object.fromEntries(kept), DOTENV_CONFIG_PATH: "/dev/null", ...sandbox };
}
