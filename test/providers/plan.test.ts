import { describe, expect, test } from "vitest";

import { profileFingerprint, profileOf } from "../../providers/clerk-user/inputs";
import { stackOutputs } from "../../providers/outputs";
import { makePlan, type World } from "../../providers/plan";
import { describePlan } from "../../providers/plan-text";
import type { LedgerInvitation, LedgerUser } from "../../providers/postgres/ledger";
import type { UserRow } from "../../providers/postgres/legacy-users";
import { PROJECT, STACK } from "../systems";

const settings = {
  email: undefined,
  passwords: "carry",
  notify: "invitation",
  clerkInviteRedirectUrl: undefined,
  reveal: false,
  allowRemovals: 0,
  heldOnly: false,
} as const;

function row(userId: string, changes: Partial<UserRow> = {}): UserRow {
  return {
    userId,
    email: `${userId}@example.com`,
    name: "Ada Lovelace",
    createdAt: "2024-01-02T03:04:05.000Z",
    clerkUserId: null,
    digest: { hasher: "bcrypt", fingerprint: `digest of ${userId}` },
    ...changes,
  };
}

function linked(of: UserRow, changes: Partial<LedgerUser> = {}): LedgerUser {
  return {
    userId: of.userId,
    stack: STACK,
    clerkInstanceId: "ins_1",
    clerkUserId: `user_${of.userId}`,
    origin: "created",
    status: "linked",
    passwords: "carry",
    digestFingerprint: of.digest?.fingerprint ?? "",
    profileFingerprint: profileFingerprint(of.userId, profileOf(of)),
    clerkPasswordAt: null,
    attempt: 1,
    linkedAt: null,
    failure: null,
    ...changes,
  };
}

function mail(userId: string, status: LedgerInvitation["status"]): LedgerInvitation {
  const sent = { userId, stack: STACK, clerkInstanceId: "ins_1", invitationId: "inv_1" };
  return { ...sent, emailFingerprint: null, status, attempt: 2, failure: null };
}

function world(rows: UserRow[], users: LedgerUser[] = [], invitations: LedgerInvitation[] = []): World {
  const byId = <T extends { userId: string }>(entries: T[]) =>
    new Map(entries.map((entry) => [entry.userId, entry]));
  return {
    rows,
    ledger: { users: byId(users), invitations: byId(invitations) },
    project: PROJECT,
    stack: STACK,
    clerkInstanceId: "ins_1",
    decisions: new Map(),
  };
}

const verdicts = (of: World, changes: Partial<Parameters<typeof makePlan>[1]> = {}) =>
  makePlan(of, { ...settings, ...changes }).map(({ verdict, reason }) => [verdict, reason]);

describe("new rows", () => {
  test.each<[string, Partial<UserRow>, string, string]>([
    ["a legacy user", {}, "create", ""],
    ["one who is linked", { clerkUserId: "user_x" }, "excluded", "linked already, not by this stack"],
    ["one without a digest", { digest: null }, "excluded", "has no password hash"],
    ["no address", { email: null }, "blocked", "has no e-mail address"],
    ["spaces for an address", { email: "  " }, "blocked", "has no e-mail address"],
    ["half an address", { email: "ada@example" }, "blocked", "the e-mail address is malformed"],
    [
      "a digest of unknown form",
      { digest: { hasher: null, fingerprint: "x" } },
      "create",
      "Clerk takes no password hash of this form, so the user sets a new password at the first sign-in",
    ],
  ])("%s", (_, changes, verdict, reason) => {
    expect(verdicts(world([row("a", changes)]))).toEqual([[verdict, reason]]);
  });

  test("blocks both of two that share an address, whatever its case, and names the other", () => {
    const [first, second] = verdicts(world([row("a"), row("b", { email: " A@example.COM" })]));
    expect(first).toEqual(["blocked", "has the same address as b"]);
    expect(second).toEqual(["blocked", "has the same address as a"]);
  });

  test("leaves out whom a decision skips, another stack holds, or a held-only run does not take on", () => {
    const skipping = { ...world([row("a")]), decisions: new Map([["a", { skip: "asked to be forgotten" }]]) };
    expect(verdicts(skipping)).toEqual([["excluded", "skipped by a decision: asked to be forgotten"]]);
    const other = world([row("a")], [linked(row("a"), { stack: "other/stack" })]);
    expect(verdicts(other)).toEqual([["excluded", "belongs to the stack other/stack"]]);
    expect(verdicts(world([row("a")]), { heldOnly: true })).toEqual([
      ["excluded", "this run takes on nobody new"],
    ]);
  });

  test("takes on one address alone, and says so where nobody has it", () => {
    expect(
      verdicts(world([row("a"), row("b")]), { email: "B@example.com" }).map(([verdict]) => verdict),
    ).toEqual(["excluded", "create"]);
    expect(verdicts(world([row("a", { clerkUserId: "user_x" })]), { email: "a@example.com" })[0]?.[0]).toBe(
      "excluded",
    );
    expect(() => makePlan(world([row("a")]), { ...settings, email: "nobody@example.com" })).toThrow(
      "No row of the users table has the address asked for (n***y@example.com).",
    );
  });
});

describe("held rows", () => {
  const held = row("a", { clerkUserId: "user_a" });

  test("are declared whatever the filter, and unchanged where nothing changed", () => {
    const plan = makePlan(world([held, row("b")], [linked(held)]), { ...settings, email: "b@example.com" });
    expect(plan.map(({ verdict, declared }) => [verdict, declared !== null])).toEqual([
      ["unchanged", true],
      ["create", true],
    ]);
  });

  test.each<[string, Partial<UserRow>, Partial<LedgerUser>, string, string]>([
    [
      "cut off while creating",
      {},
      { status: "creating" },
      "resume",
      "a run was cut off while creating this user",
    ],
    [
      "cut off while rolling back",
      {},
      { status: "unlinking" },
      "resume",
      "a rollback of this user was cut off",
    ],
    ["without the link", { clerkUserId: null }, {}, "update", "the link was lost"],
    [
      "with another link",
      { clerkUserId: "user_x" },
      {},
      "unchanged",
      "the row is linked to another Clerk user than ours",
    ],
    [
      "with another password",
      { digest: { hasher: "bcrypt", fingerprint: "new" } },
      {},
      "update",
      "the legacy password has changed",
    ],
    ["with another name", { name: "Grace" }, {}, "update", "the row has changed"],
    ["without the digest", { digest: null }, {}, "unchanged", ""],
  ])("%s", (_, changes, ledger, verdict, reason) => {
    expect(verdicts(world([{ ...held, ...changes }], [linked(held, ledger)]))).toEqual([[verdict, reason]]);
  });

  test("a lost link raises the attempt, and a digest that is gone changes no input", () => {
    const declaredOf = (changes: Partial<UserRow>) =>
      makePlan(world([{ ...held, ...changes }], [linked(held)]), settings)[0]?.declared;
    expect(declaredOf({ clerkUserId: null })?.attempt).toBe(2);
    expect(declaredOf({ digest: null })).toEqual(declaredOf({}));
  });

  test("a changed passwords setting changes nobody who is held", () => {
    const [user] = makePlan(world([held], [linked(held)]), { ...settings, passwords: "reset" });
    expect(user?.declared?.passwords).toBe("carry");
  });

  test("keep the mail that is sent declared when notify is off, and no other", () => {
    const other = row("b", { clerkUserId: "user_b" });
    const plan = makePlan(
      world([held, other], [linked(held), linked(other)], [mail("a", "sent"), mail("b", "failed")]),
      {
        ...settings,
        notify: "none",
      },
    );
    expect(plan.map(({ invitation }) => invitation?.attempt)).toEqual([2, undefined]);
  });

  test("that are gone from the table stop the run before anything is declared", () => {
    expect(() => makePlan(world([row("b")], [linked(held)]), settings)).toThrow(
      "1 of the 1 users that this stack holds are gone from the users table (a)",
    );
    expect(verdicts(world([row("b")], [linked(held)]), { allowRemovals: 1 })).toEqual([["create", ""]]);
  });

  test("of another Clerk instance stop the run", () => {
    const other = linked(held, { clerkInstanceId: "ins_2" });
    expect(() => makePlan(world([held], [other]), settings)).toThrow("belongs to the Clerk instance ins_2");
  });
});

test("a dry run lists who is touched, who is blocked and why, and never claims that it happened", () => {
  const rows = [
    row("a"),
    row("b", { email: "x" }),
    row("c", { clerkUserId: "user_c" }),
    row("d", { clerkUserId: "user_x" }),
  ];
  const text = describePlan(
    makePlan(world(rows, [linked(row("d"), { status: "creating" })]), settings),
    settings,
  );
  expect(text).not.toMatch(/migrated/i);
  expect(text).toMatchInlineSnapshot(`
    "Dry run: nothing is written, in Postgres or in Clerk.
    1/2  a***@example.com              a  created 2024-01-02
    2/2  d***@example.com              d  created 2024-01-02  resume  (a run was cut off while creating this user)
    blocked  ***                           b  the e-mail address is malformed. Correct it in the row.

    4 rows: 1 to create, 1 to resume, 1 blocked, 1 left out (1 linked already, not by this stack).
    Passwords: carried over; the old password works in Clerk at once.
    Mail: 1 invitations by Clerk; nobody has to follow the link to go on signing in."
  `);
});

test("the outputs add up, and describe failures by user_id with their remedy", () => {
  const rows = [
    row("a", { clerkUserId: "user_a" }),
    row("b"),
    row("c", { email: null }),
    row("d", { digest: null }),
  ];
  const failure = { code: "email-taken", reason: "taken", remedy: "change it" };
  const before = world(
    rows,
    [linked(rows[0] ?? row("a")), linked(row("b"), { status: "refused", failure })],
    [mail("a", "failed")],
  );
  const outputs = stackOutputs(
    makePlan(before, settings),
    STACK,
    "ins_1",
    { total: 4, linked: 1, legacy: 2, withPassword: 3 },
    before.ledger,
  );
  expect(outputs).toMatchObject({
    summary: { processed: 2, migrated: 1, adopted: 0, failed: 1, blocked: 1, excluded: 1 },
    failed: [{ userId: "b", reason: "taken", remedy: "change it" }],
    blocked: [{ userId: "c", reason: "has no e-mail address" }],
    invitations: { sent: 0, failed: 1, pending: 0 },
  });
  const { processed, blocked, excluded } = outputs.summary;
  expect(processed + blocked + excluded).toBe(rows.length);
});
