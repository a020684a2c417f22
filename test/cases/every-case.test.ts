import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { caseNames } from "./the-case";

test("every case has a test, and every test its case", () => {
  const sources = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(import.meta.dirname, file), "utf8"));
  const tested = sources.flatMap((source) =>
    [...source.matchAll(/^the(?:Case|Stack)\(\s*"([^"]+)"/gm)].flatMap(([, name]) => name ?? []),
  );
  expect(tested.toSorted()).toEqual(caseNames.toSorted());
});

test("the head of every case says what is right", () => {
  const heads = caseNames.map((name) => readFileSync(join(import.meta.dirname, `${name}.sql`), "utf8"));
  for (const [index, head] of heads.entries()) {
    expect(head).toMatch(new RegExp(`^-- case: ${caseNames[index] ?? ""}$`, "m"));
    for (const part of ["settings", "commands", "right"])
      expect(head).toMatch(new RegExp(`^-- ${part}: .`, "m"));
  }
});
