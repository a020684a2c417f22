import { command } from "./command";
import { runPulumi } from "./pulumi-cli/run";

/** `npm run pulumi -- <args>`: the CLI that this checkout uses. */
void command((args) => runPulumi(args));
