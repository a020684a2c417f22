import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const root = resolve(__dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

const project = z
  .object({
    config: z.record(z.string(), z.object({ default: z.union([z.string(), z.number(), z.boolean()]) })),
  })
  .parse(parse(read("Pulumi.yaml")));

test("every setting of Pulumi.yaml is in docs/settings.md with its default, and nothing else is", () => {
  const [config = ""] = read("docs/settings.md").split("## Of one run only");
  const documented = [...config.matchAll(/^\| `(\w+)`\s*\|[^|]*\|([^|]*)\|/gm)].map(
    ([, key = "", preset = ""]) => [key, preset.replaceAll("`", "").trim()],
  );
  const declared = Object.entries(project.config).map(([key, { default: preset }]) => [key, String(preset)]);
  expect(documented).toEqual(declared);
});

test("every npm script is in docs/commands.md", () => {
  const { scripts } = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read("package.json")));
  const text = read("docs/commands.md");
  const missing = Object.keys(scripts).filter((name) => !new RegExp(`npm (run )?${name}\\b`).test(text));
  expect(missing).toEqual([]);
});

test("every link in README.md and docs leads to a file that exists", () => {
  const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => join("docs", name))];
  const broken = pages
    .filter((page) => page.endsWith(".md"))
    .flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target = ""]) => join(dirname(page), target))
        .filter((target) => !existsSync(join(root, target))),
    );
  expect(broken).toEqual([]);
});

test("the excerpt of a dry run in README.md is one of docs/dry-run.txt, line by line", () => {
  const [, section = ""] = read("README.md").split("### What a dry run over a grown table says");
  const [, excerpt = ""] = section.split("```");
  const lines = excerpt.split("\n").filter((line) => line !== "");
  expect(lines.length).toBeGreaterThan(10);
  const whole = read("docs/dry-run.txt").split("\n");
  expect(lines.filter((line) => !whole.includes(line))).toEqual([]);
});

test("the workflow reads only secrets and variables that its head names, and never destroys unasked", () => {
  const text = read(".github/workflows/migrate.yml");
  const [head = ""] = text.split("on:\n");
  const used = [...text.matchAll(/\$\{\{ (?:secrets|vars)\.(\w+) \}\}/g)].map(([, name]) => name ?? "");
  expect(used.length).toBeGreaterThan(0);
  expect(used.filter((name) => !head.includes(name))).toEqual([]);
  const step = z.looseObject({
    if: z.string().optional(),
    with: z.looseObject({ command: z.string().optional() }).optional(),
  });
  const { jobs } = z
    .object({ jobs: z.record(z.string(), z.object({ steps: z.array(step) })) })
    .parse(parse(text));
  const destroys = Object.values(jobs).flatMap(({ steps }) =>
    steps.filter((one) => one.with?.command === "destroy"),
  );
  expect(destroys).toHaveLength(1);
  expect(destroys[0]?.if).toContain("inputs.confirm == 'destroy'");
});
