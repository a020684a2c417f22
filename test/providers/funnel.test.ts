import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { failuresByReason, stragglersOf } from "../../providers/funnel";
import type { StackOutputs } from "../../providers/outputs";
import { readmeOf } from "../../providers/readme";
import { sampleUsers } from "../../sandbox/sample-users";
import { live, outputsOf, story } from "../scripted-life";
import { legacyUsers, type TestSystems } from "../systems";

const DAY = 86_400_000;

describe("a migration of 44 users over 30 days", () => {
  let on: TestSystems;
  let outputs: StackOutputs;
  beforeAll(async () => {
    on = await live();
    outputs = await outputsOf(on);
  });
  afterAll(() => on.close());

  const sum = (groups: readonly { readonly users: number }[]) =>
    groups.reduce((total, { users }) => total + users, 0);

  test("has a funnel that says how many have come how far", () => {
    const linked = legacyUsers.length - story.blocked - story.refused;
    expect(outputs.funnel).toEqual({
      legacy: 36,
      created: linked,
      linked,
      told: story.told,
      signedIn: story.signedIn,
      digestsRetired: 0,
      digestsPurged: 0,
    });
  });

  test("counts every linked user either as signed in or among the stragglers, and agrees with the summary", () => {
    const { funnel, stragglers, summary, failuresByReason: failures } = outputs;
    expect(funnel.signedIn + sum(stragglers)).toBe(funnel.linked);
    expect(funnel.linked).toBe(summary.migrated + summary.adopted);
    expect(funnel.linked + summary.blocked + summary.failed).toBe(funnel.legacy);
    expect(sum(failures)).toBe(summary.blocked + summary.failed);
  });

  test("tells the age of stragglers from the mail, or where none is out from the link", () => {
    expect(outputs.stragglers.filter(({ users }) => users > 0)).toEqual([
      { age: "3 to 7 days", users: 2 },
      { age: "7 to 14 days", users: 9 },
      { age: "14 to 30 days", users: 7 },
    ]);
  });

  test("exports the same the next time, as long as nothing happens", async () => {
    expect(await outputsOf(on)).toEqual(outputs);
  });

  test("has a page in Pulumi's console that names nobody", () => {
    const { readme } = outputs;
    expect(readme).toContain("33 of 36 legacy users are in the Clerk instance");
    expect(readme).toContain("| signed in | 15 | 42 % |");
    expect(readme).toContain("2 rows blocked: ");
    const people = sampleUsers.flatMap(({ userId, email, name }) => [userId, email, name ?? userId]);
    expect(people.filter((text) => readme.includes(text))).toEqual([]);
  });
});

test("a straggler is in one group, by the mail where one is out, and nobody is in a group before being told", () => {
  const now = 100 * DAY;
  const life = { userId: "a", linkedAt: 0, signedInAt: null };
  const ageOf = (toldAt: number | null) =>
    stragglersOf([{ ...life, toldAt }], now).find(({ users }) => users === 1)?.age;
  expect(ageOf(now)).toBe("under 1 day");
  expect(ageOf(now + 5)).toBe("under 1 day");
  expect(ageOf(now - DAY)).toBe("1 to 3 days");
  expect(ageOf(now - 3 * DAY)).toBe("3 to 7 days");
  expect(ageOf(now - 30 * DAY + 1)).toBe("14 to 30 days");
  expect(ageOf(null)).toBe("over 30 days");
  expect(stragglersOf([{ ...life, toldAt: 0, signedInAt: 1 }], now).every(({ users }) => users === 0)).toBe(
    true,
  );
});

test("failures of one reason are one group, whatever is special about each", () => {
  const remedy = "mend it";
  expect(
    failuresByReason({
      users: [{ userId: "a", reason: "is taken", remedy }],
      rows: [
        { userId: "b", reason: "same address (a)", remedy },
        { userId: "4", reason: "same address (b)", remedy },
      ],
      mails: [
        { userId: "4", reason: "Clerk answered 404 to user 4 (user_2a).", remedy },
        { userId: "b", reason: "User b: Clerk answered 404 to user b (user_2b).", remedy },
        { userId: "a", reason: "Clerk answered 404 to user a (user_2c).", remedy },
      ],
      digests: [{ userId: "c", reason: "User c: the user is banned in Clerk.", remedy }],
    }),
  ).toEqual([
    { what: "mail", reason: "Clerk answered 404 to user ….", remedy, users: 3 },
    { what: "row", reason: "same address", remedy, users: 2 },
    { what: "user", reason: "is taken", remedy, users: 1 },
    { what: "digest", reason: "the user is banned in Clerk.", remedy, users: 1 },
  ]);
});

test("a reason with markup in it stays text in the stack's page", () => {
  const readme = readmeOf({
    stack: "p/dev",
    clerkInstanceId: "ins_1",
    funnel: { legacy: 0, created: 0, linked: 0, told: 0, signedIn: 0, digestsRetired: 0, digestsPurged: 0 },
    stragglers: [],
    failuresByReason: [{ what: "user", reason: "a | <b>\n${outputs.x} [x](y)", remedy: "`r`", users: 1 }],
    mailsPending: 0,
  });
  expect(readme).toContain("| user | 1 | a \\| \\<b\\> \\${outputs.x} \\[x\\](y) | \\`r\\` |");
});
