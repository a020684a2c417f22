import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The CLI of the SDK that package.json pins, and the oldest that is accepted. */
export const PULUMI_VERSION = "3.248.0";

/** What the go.mod files in `modules` ask for. */
export const GO_VERSION = "1.25.11";

/** A version manager's stub may want to download something before it answers. */
const ANSWER_TIMEOUT_MS = 30_000;

/** The version a `pulumi` reports, without the `v`. */
export async function versionOf(binary: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await promisify(execFile)(binary, ["version"], {
    env: { ...environment, PULUMI_SKIP_UPDATE_CHECK: "true" },
    timeout: ANSWER_TIMEOUT_MS,
  });
  return stdout.trim().replace(/^v/, "");
}

/** False for a next major version too, which the SDK refuses, and for a pre-release of `wanted` itself. */
export function isAtLeast(found: string, wanted: string): boolean {
  const [, major = "", minor = "", patch = "0", rest = ""] =
    /^(\d+)\.(\d+)(?:\.(\d+))?(.*)$/.exec(found) ?? [];
  const [wantedMajor = 0, wantedMinor = 0, wantedPatch = 0] = wanted.split(".").map(Number);
  if (Number(major) !== wantedMajor || minor === "") return false;
  if (Number(minor) !== wantedMinor) return Number(minor) > wantedMinor;
  if (Number(patch) !== wantedPatch) return Number(patch) > wantedPatch;
  return !rest.startsWith("-");
}
