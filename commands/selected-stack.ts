import { existsSync } from "node:fs";
import { join } from "node:path";

import { z } from "zod";

import { MigrationError } from "../providers/errors";
import { type Project, readProject } from "./project";
import { type Answer, askPulumi } from "./pulumi-cli/ask";

/** Which stack the flags of a command name, if any. */
export interface StackChoice {
  readonly stack?: string | undefined;
  readonly "config-file"?: string | undefined;
}

export interface SelectedStack {
  readonly project: string;
  /** Without project and organization, as `pulumi.getStack()` says it. */
  readonly name: string;
  /** `<project>/<name>`: whose users they are, in ledger and marks. */
  readonly stack: string;
  /** As Pulumi says it, with organization and project: the same stack, whatever is selected meanwhile. */
  readonly cliName: string;
  /** For Pulumi's own commands. */
  readonly cliFlags: readonly string[];
  readonly configFile: string;
  readonly defaults: Project["defaults"];
}

/**
 * The stack that a command is about, as Pulumi chooses it: `--stack`, else PULUMI_STACK, else the one that
 * `pulumi stack select` has left. Only Pulumi knows which that is and what else a name may mean (an organization, a
 * project), so it is asked, once. Where it cannot answer, a name that has a config file will do.
 */
export async function selectStack(choice: StackChoice): Promise<SelectedStack> {
  const project = readProject();
  const asked = choice.stack ?? (process.env.PULUMI_STACK || undefined);
  const known = await askPulumi([
    ...["stack", "--show-name", "--fully-qualify-stack-names"],
    ...(asked === undefined ? [] : ["--stack", asked]),
  ]);
  const full = known.isAnswered ? known.text : asked;
  if (full === undefined || full === "") throw await noneSelected(known);

  const parts = full.split("/");
  const name = parts.at(-1) ?? full;
  // `<organization>/<project>/<stack>`; a back end without projects says the stack alone.
  const itsProject = parts.length === 3 ? parts[1] : undefined;
  if (itsProject !== undefined && itsProject !== project.name)
    throw new MigrationError(
      "other-project",
      `The stack ${full} is one of the project ${itsProject}, but Pulumi.yaml names ${project.name}.`,
      "Name a stack of this project with --stack, or correct `name:` in Pulumi.yaml.",
    );
  const configFile = choice["config-file"] ?? join(project.configDirectory, `Pulumi.${name}.yaml`);
  if (!known.isAnswered) await expectWithoutAnswer(full, configFile, known);
  return {
    project: project.name,
    name,
    stack: `${project.name}/${name}`,
    cliName: full,
    cliFlags: [
      ...["--stack", full],
      ...(choice["config-file"] === undefined ? [] : ["--config-file", choice["config-file"]]),
    ],
    configFile,
    defaults: project.defaults,
  };
}

/** Nothing that exists may be taken for granted where Pulumi does not know the stack. */
async function expectWithoutAnswer(name: string, configFile: string, { problem }: Answer): Promise<void> {
  const existing = await existingStacks();
  if (existing !== undefined)
    throw new MigrationError(
      "unknown-stack",
      `There is no stack ${name}${problem === "" ? "" : ` (Pulumi: ${problem})`}. ${listed(existing)}`,
      existing.length === 0
        ? `Make it with \`npm run pulumi -- stack init ${name}\`.`
        : "Name one of them with --stack or PULUMI_STACK, or choose it with `npm run pulumi -- stack select`.",
    );
  if (existsSync(configFile)) return;
  throw new MigrationError(
    "unknown-stack",
    `There is no config file ${configFile}, and Pulumi cannot say whether there is a stack ${name} (${problem}).`,
    "Log in with `npm run pulumi -- login`, or set PULUMI_BACKEND_URL, or correct the name.",
  );
}

async function noneSelected({ problem }: Answer): Promise<MigrationError> {
  const existing = await existingStacks();
  if (existing === undefined)
    return new MigrationError(
      "no-stack",
      `Pulumi cannot say which stack is selected (${problem}).`,
      "Log in with `npm run pulumi -- login`, or set PULUMI_BACKEND_URL, or name the stack with --stack.",
    );
  return new MigrationError(
    "no-stack",
    `No stack is selected. ${listed(existing)}`,
    existing.length === 0
      ? "Make one with `npm run pulumi -- stack init dev`."
      : "Choose one with `npm run pulumi -- stack select <name>`, or name it with --stack.",
  );
}

const listSchema = z.array(z.object({ name: z.string() }));

/** Of this project; undefined where Pulumi cannot say. */
async function existingStacks(): Promise<string[] | undefined> {
  const { isAnswered, text } = await askPulumi(["stack", "ls", "--json"]);
  if (!isAnswered) return undefined;
  return listSchema.parse(JSON.parse(text)).map(({ name }) => name);
}

function listed(names: readonly string[]): string {
  return names.length === 0
    ? "This project has no stack yet."
    : `Those of this project: ${names.join(", ")}.`;
}
