import { access, constants, realpath, stat } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";

/** Started by `pulumi` for a program in Node, and for the dynamic providers of such a program. */
const PLUGINS = ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];

/** The first executable of that name on PATH: what a shell would run. */
export function onPath(name: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  return firstOf(name, (environment.PATH ?? "").split(delimiter));
}

/** Whether that `pulumi` can run programs in Node: it looks for its plugins on PATH and beside itself. */
export async function hasNodePlugins(pulumi: string, environment: NodeJS.ProcessEnv): Promise<boolean> {
  const beside = [dirname(pulumi), dirname(await realpath(pulumi))];
  const found = await Promise.all(
    PLUGINS.map(async (name) => (await onPath(name, environment)) ?? (await firstOf(name, beside))),
  );
  return found.every((path) => path !== undefined);
}

/** Whether the folder holds a `pulumi` with its plugins. */
export async function isComplete(directory: string): Promise<boolean> {
  const found = await Promise.all(["pulumi", ...PLUGINS].map((name) => isExecutable(join(directory, name))));
  return found.every(Boolean);
}

async function firstOf(name: string, directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const path = resolve(directory, name);
    if (directory !== "" && (await isExecutable(path))) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
