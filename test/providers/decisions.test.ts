import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { readDecisions } from "../../providers/decisions";
import { messageOf } from "../../providers/errors";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "decisions-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function reading(text: string) {
  const path = join(directory, "decisions.yaml");
  await writeFile(path, text);
  try {
    return readDecisions(path);
  } catch (error) {
    return messageOf(error).replaceAll(path, "decisions.yaml");
  }
}

test("a file that is not there, or empty, decides nothing", async () => {
  expect(readDecisions(join(directory, "nowhere.yaml")).size).toBe(0);
  expect(await reading("# nothing yet\n")).toEqual(new Map());
});

test("reads who is skipped, and why", async () => {
  expect(await reading('a1:\n  skip: asked to be forgotten\n"7": { skip: test account }\n')).toEqual(
    new Map([
      ["a1", { skip: "asked to be forgotten" }],
      ["7", { skip: "test account" }],
    ]),
  );
});

test("reads every kind of decision, and refuses those that exclude each other or have another form", async () => {
  const every = {
    a: { adopt: true, email: "new@example.com" },
    b: { adopt: "user_2abc" },
    c: { passwords: "reset", resend: 2 },
    d: { recreate: true },
    e: { forget: true },
    f: { leave: "left us" },
  };
  expect(await reading(JSON.stringify(every))).toEqual(new Map(Object.entries(every)));
  const wrong = {
    a: { skip: "x", adopt: true },
    b: { adopt: "somebody" },
    c: { email: "nobody" },
    d: { passwords: "carry" },
    e: { resend: 0 },
    f: { resend: true },
    g: "skip",
    h: { leave: "left us", skip: "x" },
  };
  const message = await reading(JSON.stringify(wrong));
  for (const userId of Object.keys(wrong)) expect(message).toContain(`line 1: ${userId}: `);
});

test("names every entry that is no decision, with its line, in one error", async () => {
  expect(await reading("a1: { skip: '' }\nb2: { skip: fine }\nc3:\n  skpi: typo\n")).toMatchInlineSnapshot(`
    "decisions.yaml cannot be read as decisions: 
      - line 1: a1: skip has to be a reason
      - line 4: c3: it takes skip, keep, leave, adopt, email, passwords, recreate, forget and resend
      - line 4: c3: nothing is decided: it takes skip, keep, leave, adopt, email, passwords, recreate, forget and resend"
  `);
});

test("names the line of a file that is no YAML, or no map", async () => {
  expect(await reading("a1: { skip: fine }\na1: { skip: twice }\n")).toContain("line 2: DUPLICATE_KEY");
  expect(await reading("- a1\n")).toContain("line 1: it has to map each user_id to a decision");
});
