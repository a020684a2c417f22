import { MigrationError } from "../providers/errors";
import { sandboxEnvironment, sandboxStack, type Workspace } from "../sandbox/workspace";
import { runPulumi } from "./pulumi-cli/run";

/** Makes the sandbox's stack in its own back end; the salt goes into the workspace, not into the checkout. */
export async function initStack(workspace: Workspace): Promise<void> {
  // It does not exist yet, so it cannot be the selected one.
  const environment = sandboxEnvironment(process.env, { ...workspace.environment, PULUMI_STACK: "" });
  const args = ["stack", "init", sandboxStack, "--cwd", workspace.directory, "--non-interactive"];
  const exitCode = await runPulumi(args, { environment, onOutput: () => undefined });
  if (exitCode === 0) return;
  throw new MigrationError(
    "stack-init",
    `Pulumi could not make the sandbox's stack (exit code ${exitCode.toString()}).`,
    "Its own message stands above.",
  );
}
