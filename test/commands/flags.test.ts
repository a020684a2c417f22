import { spawn } from "node:child_process";
import { once } from "node:events";

import { expect, test } from "vitest";

import { nearest } from "../../commands/nearest";
import { sandboxEnvironment } from "../../sandbox/workspace";

async function run(...args: readonly string[]) {
  const [name = "", ...rest] = args;
  const child = spawn(process.execPath, ["--import", "tsx", `commands/${name}.ts`, ...rest], {
    // Neither systems nor a stack: whoever looks at the flags first needs none.
    env: sandboxEnvironment(process.env, {}),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [printed, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  await once(child, "close");
  return { exitCode: child.exitCode, printed, errors };
}

const ours = [
  ...["doctor", "plan", "verify", "gate", "report", "history", "export", "purge", "rotate-seal-key"],
  ...["mail", "sandbox", "start"],
];

test("every command of ours answers --help with what it does and its flags, and does nothing", async () => {
  for (const name of ours) {
    const { exitCode, printed, errors } = await run(name, "--help");
    expect({ exitCode, errors }, name).toEqual({ exitCode: 0, errors: "" });
    expect(printed).toContain(name === "start" ? "npm start -- [flags]" : `npm run ${name} -- [`);
    expect(printed, name).toMatch(/^ {2}(-\w, )?--\S+/m);
  }
  const { printed } = await run("doctor", "--help");
  expect(printed).toMatchInlineSnapshot(`
    "npm run doctor -- [flags]

    Checks settings, database, Clerk and every row, without Pulumi. Exit code 0 fine, 1 problems, 2 something cannot be told.

      -s, --stack <name>    the stack; else PULUMI_STACK, else the one that is selected
      --config-file <file>  its settings, instead of Pulumi.<stack>.yaml
      --json                the same for machines
    "
  `);
});

test("a verb of Pulumi's answers --help with our flags, and then Pulumi's", async () => {
  const { exitCode, printed } = await run("run", "up", "--help");
  expect(exitCode).toBe(0);
  expect(printed).toMatch(
    /^npm run up -- \[flags\]\n[\s\S]*--until-done[\s\S]*pulumi up \[template\|url\] \[flags\]/,
  );
});

test("a wrong flag of ours is a sentence with the nearest right one", async () => {
  const said = async (...args: readonly string[]) => {
    const { exitCode, printed, errors } = await run(...args);
    expect({ exitCode, printed }).toEqual({ exitCode: 1, printed: "" });
    return errors;
  };
  expect(await said("doctor", "--jsno")).toBe(
    "npm run doctor has no flag --jsno. Say --json; `npm run doctor -- --help` lists the flags.\n",
  );
  expect(await said("doctor", "json")).toContain("npm run doctor takes no json. Say --json;");
  expect(await said("export", "--what")).toContain("--what needs a value. Say --what <list>;");
  expect(await said("plan", "--json=yes")).toContain("--json takes no value. Say --json;");
  expect(await said("history", "--xyzzy")).toBe(
    "npm run history has no flag --xyzzy. `npm run history -- --help` lists the flags.\n",
  );
  expect(await said("purge", "--dryrun")).toContain("Say --dry-run;");
  expect(await said("report", "-o", "x")).toContain("npm run report has no flag -o.");
  expect(await said("start", "--kepp")).toContain("npm start has no flag --kepp. Say --keep;");
});

test("the nearest of the known words is the one that was meant, and none is where none is near", () => {
  expect(nearest("jsno", ["json", "stack"])).toBe("json");
  expect(nearest("dryrun", ["dry-run", "confirm"])).toBe("dry-run");
  expect(nearest("config", ["config-file", "json"])).toBeUndefined();
  expect(nearest("xyzzy", ["json", "stack", "run"])).toBeUndefined();
});
