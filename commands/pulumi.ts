import { withExitCode } from "./command";
import { runPulumi } from "./pulumi-cli/run";

/** `npm run pulumi -- <args>`: the CLI that this checkout uses. */
void withExitCode((args) => runPulumi(args));
