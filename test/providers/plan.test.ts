import { describe, expect, test } from "vitest";

import type { InstanceEnvironment } from "../../providers/clerk/environment";
import type { ClerkFacts } from "../../providers/clerk/facts";
import type { ClerkUser } from "../../providers/clerk/user";
import { profileFingerprint, profileOf } from "../../providers/clerk-user/inputs";
import type { Decision } from "../../providers/decisions";
import { stackOutputs } from "../../providers/outputs";
import { makePlan, questionsOf } from "../../providers/plan";
import { describePlan } from "../../providers/plan-text";
import type { LedgerNotification, LedgerUser } from "../../providers/postgres/ledger";
import { type DigestFacts, fingerprintOf, type UserRow } from "../../providers/postgres/legacy-users";
import type { reasons } from "../../providers/verdicts/reasons";
import type { ChannelFacts, MailFacts, PlanSettings, World } from "../../providers/world";
import { MIGRATION_ID, STACK } from "../systems";

const settings: PlanSettings = {
  email: undefined,
  emails: [],
  domains: [],
  exclude: [],
  where: "",
  limit: 0,
  percent: 100,
  passwords: "carry",
  notify: "invitation",
  notifyOnly: [],
  invitationsPerHour: 0,
  mailsPerHour: 100,
  mailsPerDay: 1000,
  mailWarmUp: [],
  redirectAllMailTo: undefined,
  remindAfterDays: 0,
  maxReminders: 1,
  retirePasswords: "off",
  retireAfterDays: 7,
  clerkInviteRedirectUrl: undefined,
  reveal: false,
  allowRemovals: 0,
  allowUndeliverable: true,
  heldOnly: false,
  existing: "refuse",
  emailVerified: "all",
  unverified: "reserve",
  legalConsent: "require",
  bypassDeviceTrust: true,
};

const environment: InstanceEnvironment = {
  attributes: {
    email: { isEnabled: true, isRequired: true, isFirstFactor: true },
    phoneNumber: { isEnabled: false, isRequired: false, isFirstFactor: false },
    username: { isEnabled: false, isRequired: false, isFirstFactor: false },
    firstName: { isEnabled: true, isRequired: false, isFirstFactor: false },
    lastName: { isEnabled: true, isRequired: false, isFirstFactor: false },
    password: { isEnabled: true, isRequired: true, isFirstFactor: true },
  },
  usernames: { minLength: 4, maxLength: 64, allowsSpecialCharacters: false, allowsNumbersAlone: false },
  hasSocialSignIn: false,
  asksLegalConsent: false,
  hasAllowlist: false,
  hasBlocklist: false,
  blocksSubaddresses: false,
  blocksDisposable: false,
};

/** What Clerk says where it knows these people. */
function facts(users: readonly ClerkUser[] = [], changes: Partial<ClerkFacts> = {}): ClerkFacts {
  return {
    byAddress: new Map(
      users.flatMap((user) =>
        user.emails.filter((email) => email.isClaimed).map((email) => [email.address, user] as const),
      ),
    ),
    byExternalId: new Map(
      users.flatMap((user) => (user.externalId === null ? [] : [[user.externalId, user] as const])),
    ),
    byId: new Map(users.map((user) => [user.id, user])),
    byUsername: new Map(),
    byPhoneNumber: new Map(),
    kind: "production",
    environment,
    allowlist: [],
    blocklist: [],
    room: null,
    ...changes,
  };
}

function inClerk(id: string, address: string, changes: Partial<ClerkUser> = {}): ClerkUser {
  return {
    id,
    externalId: null,
    emails: [{ id: "idn_1", address, isVerified: true, isClaimed: true }],
    primaryEmail: address,
    firstName: null,
    lastName: null,
    username: null,
    phoneNumbers: [],
    mark: null,
    passwordEnabled: true,
    passwordLastUpdatedAt: null,
    lastSignInAt: null,
    createdAt: 0,
    banned: false,
    locked: false,
    ...changes,
  };
}

/** Somebody of ours, as a run has made it. */
const ours = (userId: string, changes: Partial<ClerkUser> = {}) =>
  inClerk(`user_${userId}`, `${userId}@example.com`, {
    externalId: userId,
    mark: { migration: MIGRATION_ID, adopted: false },
    ...changes,
  });

const NOW = Date.parse("2026-01-01");
const none = { count: 0, oldest: null };
const quiet: ChannelFacts = { hour: none, day: none, thisMonth: null, problem: "" };
const hourWith = (count: number) => ({ invitations: { hour: { count, oldest: NOW - 1_000 } } });

function row(userId: string, changes: Partial<UserRow> = {}): UserRow {
  return {
    userId,
    email: `${userId}@example.com`,
    name: "Ada Lovelace",
    firstName: null,
    lastName: null,
    username: null,
    phoneNumber: null,
    publicMetadata: null,
    privateMetadata: null,
    isBanned: false,
    isDeleted: false,
    isEmailVerified: null,
    isSelected: true,
    createdAt: "2024-01-02T03:04:05.000Z",
    isCreatedAtUnusable: false,
    lastActiveAt: null,
    clerkUserId: null,
    digest: bcrypt(`digest of ${userId}`),
    ...changes,
  };
}

function bcrypt(fingerprint: string, cost = 10): DigestFacts {
  return { hasher: "bcrypt", cost, fingerprint };
}

function linked(of: UserRow, changes: Partial<LedgerUser> = {}): LedgerUser {
  return {
    userId: of.userId,
    stack: STACK,
    clerkInstanceId: "ins_1",
    clerkUserId: `user_${of.userId}`,
    origin: "created",
    isExternalIdSet: false,
    status: "linked",
    passwords: "carry",
    digestFingerprint: of.digest?.fingerprint ?? "",
    profileFingerprint: profileFingerprint(of.userId, profileOf(of)),
    clerkPasswordAt: null,
    attempt: 1,
    linkedAt: null,
    arrivedAt: null,
    failure: null,
    ...changes,
  };
}

function mail(
  userId: string,
  status: LedgerNotification["status"],
  changes: Partial<LedgerNotification> = {},
): LedgerNotification {
  return {
    userId,
    number: 0,
    way: "invitation",
    stack: STACK,
    clerkInstanceId: "ins_1",
    credentialId: "inv_1",
    emailFingerprint: null,
    status,
    attempt: 2,
    sentAt: null,
    failure: null,
    ...changes,
  };
}

interface Around {
  readonly users?: LedgerUser[];
  readonly notifications?: LedgerNotification[];
  readonly reminders?: LedgerNotification[];
  /** The users who have signed in. */
  readonly arrived?: string[];
  readonly clerk?: ClerkFacts;
  readonly decisions?: Readonly<Record<string, Decision>>;
  readonly mails?: { invitations?: Partial<ChannelFacts>; own?: Partial<ChannelFacts> } & Partial<
    Pick<MailFacts, "firstOwn" | "invitedByOthers">
  >;
}

function world(
  rows: UserRow[],
  {
    users = [],
    notifications = [],
    reminders = [],
    arrived = [],
    clerk = facts(),
    decisions = {},
    mails = {},
  }: Around = {},
): World {
  const byId = <T extends { userId: string }>(entries: T[]) =>
    new Map(entries.map((entry) => [entry.userId, entry]));
  return {
    rows,
    ledger: {
      users: byId(users),
      notifications: byId(notifications),
      retired: new Map(),
      reminders: new Map(reminders.map((reminder) => [reminder.userId, [reminder]])),
    },
    stack: STACK,
    migrationId: MIGRATION_ID,
    stacks: new Set([STACK]),
    link: "public.users.clerk_user_id",
    holders: [],
    forgottenMails: [],
    clerkInstanceId: "ins_1",
    decisions: new Map(Object.entries(decisions)),
    now: NOW,
    clerk,
    mails: {
      firstOwn: null,
      found: new Set(),
      invitedByOthers: new Set(),
      ...mails,
      invitations: { ...quiet, ...mails.invitations },
      own: { ...quiet, ...mails.own },
      now: NOW,
    },
    retire: { banned: new Map(), canaryProblem: "" },
    arrivals: new Map(arrived.map((userId) => [`user_${userId}`, NOW])),
    findings: [],
  };
}

const planOf = (of: World, changes: Partial<PlanSettings> = {}) => makePlan(of, { ...settings, ...changes });
const verdicts = (of: World, changes: Partial<PlanSettings> = {}) =>
  planOf(of, changes).users.map(({ verdict, reason }) => [verdict, reason]);
const codes = (of: World, changes: Partial<PlanSettings> = {}) =>
  planOf(of, changes).users.map(({ code }) => code);

const held = row("a", { clerkUserId: "user_a" });
const around = (ledger: Partial<LedgerUser> = {}, live: ClerkUser[] = [ours("a")]): Around => ({
  users: [linked(held, ledger)],
  clerk: facts(live),
});
const off = { isEnabled: false, isRequired: false, isFirstFactor: false };
const required = { isEnabled: true, isRequired: true, isFirstFactor: false };
const attributes = (changes: Partial<InstanceEnvironment["attributes"]>): Around => ({
  clerk: facts([], {
    environment: { ...environment, attributes: { ...environment.attributes, ...changes } },
  }),
});

interface Case {
  /** The row of the user is gone. */
  readonly isGone?: boolean;
  readonly row?: Partial<UserRow>;
  /** Rows besides `a`. */
  readonly others?: UserRow[];
  readonly around?: Around;
  readonly settings?: Partial<PlanSettings>;
}

/** One row `a` for every reason there is. */
const gallery: Record<keyof typeof reasons, Case> = {
  new: {},
  "new-password": { row: { digest: { hasher: null, cost: null, fingerprint: "x" } } },
  "decided-reset": { around: { decisions: { a: { passwords: "reset" } } } },
  "reserved-email": { settings: { emailVerified: "none" } },
  "adopt-setting": {
    around: { clerk: facts([inClerk("user_x", "a@example.com")]) },
    settings: { existing: "adopt" },
  },
  "adopt-decision": {
    around: { clerk: facts([inClerk("user_x", "a@example.com")]), decisions: { a: { adopt: "user_x" } } },
  },
  "cut-off-create": { around: around({ status: "creating", clerkUserId: null }) },
  "cut-off-adoption": { around: around({ status: "creating", origin: "adopted" }) },
  "cut-off-rollback": { around: around({ status: "unlinking" }) },
  "made-already": { around: { clerk: facts([ours("a")]) } },
  "link-lost": { around: around() },
  "password-changed": { row: { clerkUserId: "user_a", digest: bcrypt("another") }, around: around() },
  "row-changed": { row: { clerkUserId: "user_a", name: "Grace" }, around: around() },
  "clerk-is-truth": {
    row: { clerkUserId: "user_a", name: "Grace" },
    around: around({}, [ours("a", { lastSignInAt: 1 })]),
  },
  recreate: {
    row: { clerkUserId: "user_a" },
    around: { ...around({}, []), decisions: { a: { recreate: true } } },
  },
  held: { row: { clerkUserId: "user_a", digest: null }, around: around() },
  "held-banned": { row: { clerkUserId: "user_a", isBanned: true }, around: around() },
  "held-deleted": { row: { clerkUserId: "user_a", isDeleted: true }, around: around() },
  kept: { isGone: true, around: { ...around(), decisions: { a: { keep: "the app has archived the row" } } } },
  relinked: { row: { clerkUserId: "user_x" }, around: around() },
  "no-email": { row: { email: "  " } },
  "malformed-email": { row: { email: "ada@exam\u200bple.com" } },
  "undeliverable-email": { settings: { allowUndeliverable: false } },
  "same-address": { others: [row("b", { email: " A@example.COM" })] },
  "same-user-id": { others: [row("a", { email: "another@example.com" })] },
  "same-username": { row: { username: "ada" }, others: [row("b", { username: "Ada" })] },
  "same-phone": { row: { phoneNumber: "+4930123456" }, others: [row("b", { phoneNumber: "+49 30 123456" })] },
  "unverified-email": {
    row: { isEmailVerified: false },
    settings: { emailVerified: "column:proven", unverified: "block" },
  },
  "long-name": { row: { name: "A".repeat(257) } },
  "malformed-username": {
    row: { username: "a.da" },
    around: attributes({ username: { isEnabled: true, isRequired: false, isFirstFactor: false } }),
  },
  "future-date": { row: { createdAt: "2026-02-01T00:00:00.000Z" } },
  "malformed-metadata": { row: { publicMetadata: "[1]" } },
  "large-metadata": { row: { privateMetadata: JSON.stringify({ text: "x".repeat(8_000) }) } },
  "malformed-phone": { row: { phoneNumber: "030 123456" } },
  "email-taken": { around: { clerk: facts([inClerk("user_x", "a@example.com")]) } },
  "linked-by-row": {
    others: [row("b", { clerkUserId: "user_x", digest: null })],
    around: { clerk: facts([inClerk("user_x", "a@example.com")]) },
    settings: { existing: "adopt" },
  },
  "external-id-taken": {
    around: { clerk: facts([inClerk("user_x", "x@example.com", { externalId: "a" })]) },
  },
  "username-taken": {
    row: { username: "ada" },
    around: { clerk: facts([], { byUsername: new Map([["ada", inClerk("user_x", "x@example.com")]]) }) },
  },
  "phone-taken": {
    row: { phoneNumber: "+49 30 123456" },
    around: { clerk: facts([], { byPhoneNumber: new Map([["+4930123456", inClerk("user_x", "x@y.org")]]) }) },
  },
  "not-adoptable": {
    around: { clerk: facts([inClerk("user_x", "a@example.com", { externalId: "other" })]) },
    settings: { existing: "adopt" },
  },
  "no-room": { around: { clerk: facts([], { kind: "development", room: 0 }) } },
  "email-off": { around: attributes({ email: off }) },
  "password-off": { around: attributes({ password: off }) },
  "password-only-way": {
    around: attributes({ email: { isEnabled: true, isRequired: true, isFirstFactor: false } }),
    settings: { passwords: "reset" },
  },
  "attribute-missing": { row: { name: "Ada" }, around: attributes({ lastName: required }) },
  "attribute-off": { around: attributes({ firstName: off, lastName: off }) },
  "legal-consent": {
    around: { clerk: facts([], { environment: { ...environment, asksLegalConsent: true } }) },
  },
  gone: { row: { clerkUserId: "user_a", name: "Grace" }, around: around({}, []) },
  "not-ours": {
    row: { clerkUserId: "user_a", name: "Grace" },
    around: around({}, [ours("a", { mark: null })]),
  },
  "other-stack": { around: around({ stack: "other/stack" }) },
  linked: { row: { clerkUserId: "user_x" }, around: { clerk: facts([inClerk("user_x", "a@example.com")]) } },
  "linked-to-nobody": { row: { clerkUserId: "user_x" } },
  "no-digest": { row: { digest: null } },
  deleted: { row: { isDeleted: true } },
  banned: { row: { isBanned: true } },
  "held-only": { settings: { heldOnly: true } },
  skipped: { around: { decisions: { a: { skip: "asked to be forgotten" } } } },
  "stays-behind": { around: { decisions: { a: { leave: "left us" } } } },
  forgotten: { around: { decisions: { a: { forget: true } } } },
  "not-asked": { others: [row("b")], settings: { email: "b@example.com" } },
  "not-selected": { settings: { domains: ["ampdial.com"] } },
  "left-out": { settings: { exclude: ["@example.com"] } },
  "beyond-limit": { others: [row("0")], settings: { limit: 1 } },
};

const cases = Object.entries(gallery).map(([code, given]) => ({ code, given }));
const caseWorld = ({ row: changes = {}, others = [], around: given = {}, isGone = false }: Case) =>
  world(
    [...others, ...(isGone ? [] : [row("a", changes)])].toSorted((a, b) => (a.userId < b.userId ? -1 : 1)),
    given,
  );

test.each(cases)("one row for the reason $code", ({ code, given }) => {
  const { users } = planOf(caseWorld(given), given.settings);
  expect(users.find(({ userId }) => userId === "a")).toMatchObject({ code });
});

describe("two rows with one user_id", () => {
  const other = row("a", { email: "another@example.com" });

  test.each([
    ["the other first", [other, held]],
    ["the other last", [held, other]],
  ])("leave the one that the ledger holds as it is: %s", (_order, rows) => {
    const of = world(rows, { ...around(), notifications: [mail("a", "sent")] });
    const { users } = planOf(of, { notify: "invitation" });
    const declared = users.filter((user) => user.declared !== null);
    expect(declared).toMatchObject([
      { code: "held", told: "sent", notifications: [{ userId: "a", email: "a@example.com" }] },
    ]);
    expect(declared[0]?.declared?.profile.email).toBe("a@example.com");
    expect(users.filter((user) => user.declared === null)).toMatchObject([
      { code: "same-user-id", told: "never", notifications: [] },
    ]);
  });

  test("are blocked where something would be done about the one that is held, and it stays declared", () => {
    const changed = { ...held, digest: bcrypt("another") };
    expect(planOf(world([changed, other], around())).users).toMatchObject([
      { code: "same-user-id", declared: { userId: "a" } },
      { code: "same-user-id", declared: null },
    ]);
  });

  test("are blocked where one of them was linked by others", () => {
    const linkedRow = row("a", { clerkUserId: "user_x" });
    const of = world([linkedRow, other], { clerk: facts([inClerk("user_x", "x@example.com")]) });
    expect(codes(of)).toEqual(["linked", "same-user-id"]);
  });
});

describe("whoever had an account before us is told nothing", () => {
  const person = inClerk("user_x", "a@example.com");
  test.each([
    [
      "where the run was cut off before it noted the adoption",
      around({ status: "creating", origin: null, clerkUserId: null }, [person]),
    ],
    [
      "where it was cut off after it",
      around({ status: "creating", origin: "adopted", clerkUserId: "user_x" }, [person]),
    ],
    [
      "where the ledger is lost",
      { clerk: facts([ours("a", { mark: { migration: MIGRATION_ID, adopted: true } })]) },
    ],
  ])("%s", (_, given) => {
    const [user] = planOf(world([row("a")], given), { existing: "adopt", notify: "invitation" }).users;
    expect(user).toMatchObject({
      verdict: "resume",
      isAdopted: true,
      told: "never",
      notifications: [],
      newPassword: null,
    });
  });
});

test("every reason reads as a sentence with a remedy, and names nobody's address", () => {
  const lines = cases.map(({ given }) => {
    const user = planOf(caseWorld(given), given.settings).users.find(({ userId }) => userId === "a");
    expect(`${user?.reason ?? ""} ${user?.remedy ?? ""}`).not.toContain("a@example.com");
    return `${user?.verdict ?? ""}: ${user?.reason ?? ""}${user?.remedy ? ` → ${user.remedy}` : ""}`;
  });
  expect(lines.join("\n")).toMatchInlineSnapshot(`
    "create: 
    create: Clerk takes no password hash of this form, so the user sets a new password at the first sign-in
    create: sets a new password at the first sign-in, by a decision
    create: the address is reserved and proves nothing; Clerk asks for a new password at the first sign-in
    adopt: takes over the Clerk user who has the address (user_x)
    adopt: takes over a Clerk user, by a decision (user_x)
    resume: a run was cut off while creating this user
    resume: a run was cut off while adopting a Clerk user
    resume: a rollback of this user was cut off
    resume: this migration has made the user already, and the ledger has forgotten it
    update: the link was lost
    update: the legacy password has changed
    update: the row has changed
    update: the row has changed, but Clerk is the truth for this user by now: nothing is overwritten
    update: was deleted in Clerk and is created anew, by a decision
    unchanged: 
    unchanged: is banned in the application by now, and may still sign in with Clerk: no mail, and no open link → Ban the user in Clerk, too, or lift the ban in the application.
    unchanged: was deleted in the application, and may still sign in with Clerk: no mail, and no open link → Delete the user in Clerk, too, or the row, and let the user go by allowRemovals.
    unchanged: the row is gone, and a decision keeps the user (the app has archived the row)
    unchanged: the row is linked to another Clerk user than ours → Clear clerk_user_id of the row if ours is the right one.
    blocked: has no e-mail address → Add one to the row, or by a decision.
    blocked: the e-mail address is malformed (it has an invisible character in it) → Correct it in the row, or by a decision.
    blocked: the e-mail address is of a domain that can receive no mail → Correct it, skip the row, or set allowUndeliverable where such addresses are meant.
    blocked: has the same address as another row (b) → Clerk takes an address once: skip one of them, or give it another address.
    blocked: has the same user_id as another row → Give each row an id of its own. Where the key of the table has more columns, name a view with a joined key (docs/settings.md).
    blocked: has the same user name as another row (b) → Change one of them.
    blocked: has the same phone number as another row (b) → Remove one of them.
    blocked: nobody has proven the e-mail address → Let the user prove it, or set unverified to reserve or verify.
    blocked: the name is longer than Clerk takes (256 characters) → Shorten it in the row.
    blocked: Clerk does not take the user name (it takes letters, digits, _ and -, 4 to 64 of them) → Change it in the row, or the rule in Clerk's dashboard, or send none: leave usernameColumn out.
    blocked: was created in the future → Correct created_at in the row.
    blocked: the metadata is no JSON object (public) → Correct it in the row.
    blocked: the metadata is larger than Clerk takes (8 KB) (private) → Shorten it in the row.
    blocked: the phone number is not in international form (it has to be + and 7 to 15 digits) → Correct it in the row, or leave phoneColumn out.
    blocked: Clerk has a user with this address already (user_x) → Adopt that user if it is the same person, or change the address on one side.
    blocked: the Clerk user who is meant is linked to another row (user_x, row b) → Two rows cannot share a Clerk user: skip one, or give it another address.
    blocked: Clerk has a user with this external id already (user_x) → Adopt that user if it is the same person, or change its external id in Clerk.
    blocked: the user name is taken in Clerk (user_x) → Change it on one side.
    blocked: the phone number is taken in Clerk (user_x) → Change it on one side.
    blocked: cannot adopt the Clerk user (user_x: it carries the external id other) → Mend that in Clerk, or decide otherwise.
    blocked: the Clerk instance is full → Use a production instance, remove users from this one, or take on fewer with limit.
    blocked: e-mail addresses are off in Clerk → Turn them on in Clerk's dashboard.
    blocked: passwords are off in Clerk → Turn them on in Clerk's dashboard, or set passwords to reset.
    blocked: would be without a password, which is the only way to sign in there → Turn on e-mail codes or links in Clerk's dashboard.
    blocked: Clerk requires more than the row has (last name) → Make it optional in Clerk's dashboard while the migration runs, or fill it in.
    blocked: the row has what is off in Clerk (first name, last name) → Turn it on in Clerk's dashboard, or leave its column out (set the column's setting to none).
    blocked: Clerk asks for consent to the terms, which the row cannot give → Set legalConsent to skip if the application has that consent, or turn the question off.
    blocked: somebody deleted the user in Clerk (user_a) → Decide: recreate makes the user anew, forget lets go of it.
    blocked: the Clerk user no longer carries our external id and mark (user_a) → Restore them in Clerk, or clear the link by hand.
    excluded: belongs to another stack (other/stack)
    excluded: linked already, not by this stack
    excluded: linked already, but to a Clerk user who does not exist (user_x) → Clear clerk_user_id of the row to migrate the user, or correct it.
    excluded: has no password hash
    excluded: is deleted in the application
    excluded: is banned in the application
    excluded: this run takes on nobody new
    excluded: skipped by a decision (asked to be forgotten)
    excluded: stays with the old login, by a decision (left us)
    excluded: was deleted in Clerk and is let go of, by a decision
    excluded: another address than the one asked for
    excluded: not selected by emails, domains or where
    excluded: left out by exclude
    excluded: beyond limit or percent"
  `);
});

describe("new rows", () => {
  test.each([
    ["ada@example", "its domain is malformed"],
    ["@example.com", "a part is missing"],
    ["ada@home@example.com", "it has more than one @"],
    ["ada lovelace@example.com", "it has a space in it"],
    ["ada..l@example.com", "its part before the @ is malformed"],
    ["ada@bücher.de", "it has characters beyond ASCII"],
    [`${"a".repeat(65)}@example.com`, "its part before the @ is longer than 64 characters"],
  ])("with the address %s are blocked: %s", (email, flaw) => {
    expect(verdicts(world([row("a", { email })]))).toEqual([
      ["blocked", `the e-mail address is malformed (${flaw})`],
    ]);
  });

  test("both of two that share an address are blocked, and name each other, until a decision settles it", () => {
    const rows = [row("a"), row("b", { email: " A@example.COM" })];
    expect(verdicts(world(rows))).toEqual([
      ["blocked", "has the same address as another row (b)"],
      ["blocked", "has the same address as another row (a)"],
    ]);
    expect(codes(world(rows, { decisions: { b: { skip: "the same person" } } }))).toEqual(["new", "skipped"]);
    expect(codes(world(rows, { decisions: { b: { email: "b@example.com" } } }))).toEqual(["new", "new"]);
  });

  test("that nobody will ever take on do not stand in the way of their address", () => {
    const rows = [
      row("a"),
      row("b", { email: "a@example.com", digest: null }),
      row("c", { email: "a@example.com", isDeleted: true }),
    ];
    expect(codes(world(rows))[0]).toBe("new");
  });

  test("an address that another Clerk user has not proven is free", () => {
    const unproven = inClerk("user_x", "a@example.com", {
      emails: [{ id: "idn_1", address: "a@example.com", isVerified: false, isClaimed: false }],
    });
    expect(codes(world([row("a")], { clerk: facts([unproven]) }))).toEqual(["new"]);
  });

  test("one address alone, and a sentence where nobody has it", () => {
    expect(codes(world([row("a"), row("b")]), { email: "B@example.com" })).toEqual(["not-asked", "new"]);
    expect(() => planOf(world([row("a")]), { email: "nobody@example.com" })).toThrow(
      "No row of the users table has the address asked for (n***y@example.com).",
    );
  });

  test("a wave bounds the whole set, those held included: a second run takes nobody more", () => {
    const rows = ["a", "b", "c", "d"].map((userId) => row(userId));
    expect(codes(world(rows), { limit: 2 })).toEqual(["new", "new", "beyond-limit", "beyond-limit"]);
    const done = [row("a", { clerkUserId: "user_a" }), row("b", { clerkUserId: "user_b" }), ...rows.slice(2)];
    const after = { users: done.slice(0, 2).map((one) => linked(one)) };
    expect(codes(world(done, after), { limit: 2 })).toEqual(["held", "held", "beyond-limit", "beyond-limit"]);
    expect(codes(world(done, after), { percent: 75 })).toEqual(["held", "held", "new", "beyond-limit"]);
    expect(codes(world(done, after), { limit: 1 })).toEqual(["held", "held", "beyond-limit", "beyond-limit"]);
  });

  test("only as many are announced as the instance has room for, in the order of user_id", () => {
    const clerk = facts([], { kind: "development", room: 1 });
    const plan = planOf(world([row("a"), row("b")], { clerk }));
    expect(plan.users.map(({ code }) => code)).toEqual(["new", "no-room"]);
    expect(plan.findings.map(({ sentence }) => sentence)).toEqual([
      "The development instance has room for 1 more users; 1 would be created.",
    ]);
  });

  test("what cannot be found out is said to be unknown", () => {
    const unreadable = planOf(world([row("a")], { clerk: facts([], { environment: null }) }));
    expect(unreadable.findings).toMatchObject([{ check: "instance/settings", status: "unknown" }]);
    const clerk = facts([], {
      environment: { ...environment, hasBlocklist: true, blocksSubaddresses: true },
      blocklist: ["*@example.com"],
    });
    const restricted = planOf(world([row("a")], { clerk }), { bypassDeviceTrust: false });
    expect(restricted.users[0]?.notes).toEqual(["restricted"]);
    expect(restricted.findings.map(({ check, status }) => [check, status])).toEqual([
      ["instance/restrictions", "unknown"],
      ["instance/device-trust", "unknown"],
    ]);
  });

  test("whoever is adopted is not told: the account is in use already", () => {
    const clerk = facts([inClerk("user_x", "a@example.com")]);
    const [user] = planOf(world([row("a")], { clerk }), { existing: "adopt" }).users;
    expect(user).toMatchObject({ verdict: "adopt", declared: { adopt: "user_x" }, notifications: [] });
  });
});

describe("mails", () => {
  const rows = ["a", "b", "c"].map((userId) => row(userId));
  const told = (of: World, changes: Partial<PlanSettings> = {}) =>
    planOf(of, changes).users.map((user) => [user.told, user.notifications.length > 0]);

  test("go out as many as the last hour leaves; the rest is pending and declared by a later run", () => {
    expect(told(world(rows, { mails: hourWith(98) }))).toEqual([
      ["now", true],
      ["now", true],
      ["later", false],
    ]);
    expect(told(world(rows), { invitationsPerHour: 1 }).map(([turn]) => turn)).toEqual([
      "now",
      "later",
      "later",
    ]);
    expect(told(world(rows, { mails: hourWith(250) })).map(([turn]) => turn)).toEqual(
      Array.from({ length: 3 }, () => "later"),
    );
  });

  test("of a development instance stop where Clerk would drop them without a word", () => {
    const plan = planOf(world(rows, { mails: { invitations: { thisMonth: 99 } } }));
    expect(plan.users.map((user) => user.told)).toEqual(["now", "later", "later"]);
    expect(describePlan(plan, settings)).toContain(
      "99 of the 100 mails are used that a development instance",
    );
  });

  test("that are out stay declared, and go first to whoever was migrated first", () => {
    const done = rows.map((one) => ({ ...one, clerkUserId: `user_${one.userId}` }));
    const [a = held, b = held, c = held] = done;
    const users = [
      linked(a),
      linked(b, { linkedAt: new Date("2026-01-02") }),
      linked(c, { linkedAt: new Date("2026-01-01") }),
    ];
    const around = { users, notifications: [mail("a", "sent")], mails: hourWith(99) };
    expect(told(world(done, around)).map(([turn]) => turn)).toEqual(["sent", "later", "now"]);
  });

  test("go to those alone whom notifyOnly names, by address or domain, for a first wave", () => {
    expect(told(world(rows), { notifyOnly: ["b@example.com"] }).map(([turn]) => turn)).toEqual([
      "never",
      "now",
      "never",
    ]);
    expect(told(world(rows), { notifyOnly: ["@example.com"] }).map(([turn]) => turn)).toEqual([
      "now",
      "now",
      "now",
    ]);
  });

  test("are declared anew where the one that is out went to another address", () => {
    const moved = { ...held, email: "new@example.com" };
    const out = { ...mail("a", "sent"), emailFingerprint: fingerprintOf("a", "a@example.com") };
    const [user] = planOf(world([moved], { ...around(), notifications: [out] })).users;
    expect(user?.notifications[0]?.attempt).toBe(out.attempt + 1);
    const [same] = planOf(world([held], { ...around(), notifications: [out] })).users;
    expect(same?.notifications[0]?.attempt).toBe(out.attempt);
  });

  test("that are pending are forecast", () => {
    const many = Array.from({ length: 350 }, (_, index) => row(index.toString()));
    expect(describePlan(planOf(world(many)), settings)).toContain(
      "250 more are pending: Clerk sends 100 an hour, 0 of them went out in the last one. The last one goes out in about 3 hours",
    );
  });
});

describe("questions to Clerk", () => {
  test("are asked of candidates and of held rows that changed, never of those unchanged", () => {
    const unchanged = row("h", { clerkUserId: "user_h" });
    const changed = row("b", { clerkUserId: "user_b" });
    const rows = [row("a"), changed, row("c", { clerkUserId: "user_x" }), unchanged];
    const users = [linked(unchanged), linked(changed, { profileFingerprint: "old" })];
    expect(questionsOf(world(rows, { users }), settings)).toMatchObject({
      addresses: ["a@example.com", "b@example.com"],
      externalIds: ["a"],
      clerkUserIds: ["user_b", "user_x"],
    });
  });

  test("of 10,000 rows are at most two for each row", () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => row(index.toString()));
    const { addresses, externalIds, clerkUserIds } = questionsOf(world(rows), settings);
    expect([addresses.length, externalIds.length, clerkUserIds.length]).toEqual([10_000, 10_000, 0]);
  });
});

describe("held rows", () => {
  test("are declared whatever the filter, and unchanged where nothing changed", () => {
    const plan = planOf(world([held, row("b")], around()), { email: "b@example.com" });
    expect(plan.users.map(({ verdict, declared }) => [verdict, declared !== null])).toEqual([
      ["unchanged", true],
      ["create", true],
    ]);
  });

  test("stay declared where their update is going to fail, and say so", () => {
    const changed = { ...held, name: "Grace" };
    const [gone] = planOf(world([changed], around({}, []))).users;
    expect(gone).toMatchObject({ verdict: "blocked", code: "gone" });
    expect(gone?.declared).not.toBeNull();
    const taken = { ...held, email: "x@example.com" };
    const other = inClerk("user_x", "x@example.com");
    expect(codes(world([taken], around({}, [ours("a"), other])))).toEqual(["email-taken"]);
  });

  test("a lost link raises the attempt, and a digest that is gone changes no input", () => {
    const declaredOf = (changes: Partial<UserRow>) =>
      planOf(world([{ ...held, ...changes }], around())).users[0]?.declared;
    expect(declaredOf({ clerkUserId: null })?.attempt).toBe(2);
    expect(declaredOf({ digest: null })).toEqual(declaredOf({}));
  });

  test("a changed passwords setting changes nobody who is held", () => {
    const [user] = planOf(world([held], around()), { passwords: "reset" }).users;
    expect(user?.declared?.passwords).toBe("carry");
  });

  test("keep the mail that is sent declared when notify is off, and no other", () => {
    const other = row("b", { clerkUserId: "user_b" });
    const plan = planOf(
      world([held, other], {
        users: [linked(held), linked(other)],
        notifications: [mail("a", "sent"), mail("b", "failed")],
      }),
      { notify: "none" },
    );
    expect(plan.users.map(({ notifications }) => notifications[0]?.attempt)).toEqual([2, undefined]);
  });

  test("that are gone from the table stop the run before anything is declared", () => {
    expect(() => planOf(world([row("b")], around()))).toThrow(
      "1 of the 1 users that this stack holds are gone from the users table (a)",
    );
    expect(codes(world([row("b")], around()), { allowRemovals: 1 })).toEqual(["new"]);
  });

  test("of another Clerk instance stop the run", () => {
    const holder = {
      ...{ migrationId: "m_2", link: "public.users.clerk_user_id", clerkInstanceId: "ins_2" },
      ...{ stack: "clerk-migration/other", users: 1 },
    };
    expect(() => planOf({ ...world([held]), holders: [holder] })).toThrow(
      "belongs to the Clerk instance ins_2",
    );
  });

  test("whom somebody deleted in Clerk are made anew, or let go of, only by a decision about them", () => {
    const decided = (decision: Decision, live: ClerkUser[] = []) =>
      planOf(world([held], { ...around({}, live), decisions: { a: decision } }));
    expect(decided({ recreate: true }).users[0]?.declared).toMatchObject({ recreate: true, attempt: 2 });
    expect(decided({ forget: true }).users[0]?.declared).toBeNull();
    const needless = decided({ forget: true }, [ours("a")]);
    expect(needless.users[0]).toMatchObject({ code: "held" });
    expect(needless.idleDecisions).toEqual(["a"]);
  });
});

test("decisions that change nothing are reported", () => {
  const decisions = { a: { skip: "x" }, b: { skip: "y" }, c: { adopt: true } } as const;
  const plan = planOf(world([row("a"), row("c")], { decisions }));
  expect(plan.idleDecisions).toEqual(["b"]);
  expect(codes(world([row("c")], { decisions: { c: { adopt: true } } }))).toEqual(["not-adoptable"]);
});

test("a dry run groups by verdict and reason with examples and remedies, and never claims that it happened", () => {
  const rows = [
    row("a", { email: " A@example.com " }),
    row("b", { email: "x" }),
    row("c", { clerkUserId: "user_c" }),
    row("d", { clerkUserId: "user_d" }),
    row("e", { digest: bcrypt("weak", 4) }),
    row("f", { email: "f@example.com" }),
    row("g", { email: "F@example.com" }),
  ];
  const clerk = facts([ours("d"), inClerk("user_c", "c@example.com")]);
  const text = describePlan(
    planOf(world(rows, { users: [linked(row("d"), { status: "creating", clerkUserId: null })], clerk })),
    settings,
  );
  expect(text).not.toMatch(/migrated/i);
  expect(text).toMatchInlineSnapshot(`
    "Dry run: nothing is written, in Postgres or in Clerk.
    1/3  a***@example.com              a  created 2024-01-02
    2/3  d***@example.com              d  created 2024-01-02  resume  (a run was cut off while creating this user)
    3/3  e***@example.com              e  created 2024-01-02

    blocked  2  has the same address as another row
        f***@example.com  f  g
        f***@example.com  g  f
        → Clerk takes an address once: skip one of them, or give it another address.

    blocked  1  the e-mail address is malformed (a part is missing)
        ***  b
        → Correct it in the row, or by a decision.

    excluded  1  linked already, not by this stack
        c***@example.com  c

    note  1 addresses are sent trimmed and in lower case, as Clerk keeps them: a

    note  1 password hashes have a bcrypt cost below 10; Clerk keeps them as they are: e

    To settle what is blocked, paste into decisions.yaml and uncomment one line for each user:

    # b: # the e-mail address is malformed (a part is missing)
    #   email: another@address
    #   skip: why this user is left out
    # f: # has the same address as another row (g)
    #   email: another@address
    #   skip: why this user is left out
    # g: # has the same address as another row (f)
    #   email: another@address
    #   skip: why this user is left out

    7 rows: 2 to create, 1 to resume, 3 blocked, 1 left out (1 linked already, not by this stack).
    Passwords: 3 carried over; the old password works in Clerk at once.
    Mail: 3 invitations by Clerk; nobody has to follow the link to go on signing in.
      The page they lead to must hold <SignIn/>: <SignUp/> refuses people who have an account.
    Webhooks: Clerk will send user.created for 3 users. An application that welcomes new users by mail would welcome these: let its handler pass over whoever has an external_id."
  `);
});

test("a dry run of many users gives counts and a few examples instead of every line", () => {
  const rows = Array.from({ length: 250 }, (_, index) =>
    row(index.toString().padStart(3, "0"), { email: "x" }),
  );
  const text = describePlan(planOf(world([...rows, row("a")])), settings);
  expect(text).toContain("blocked  250  the e-mail address is malformed (a part is missing)");
  expect(text).toContain("… and 247 more");
  expect(text).toContain("# … and 150 more: npm run plan");
});

test("the outputs add up, and describe failures by user_id with their remedy", () => {
  const rows = [held, row("b"), row("c", { email: null }), row("d", { digest: null })];
  const failure = { code: "email-taken", reason: "taken", remedy: "change it" };
  const before = world(rows, {
    users: [linked(held), linked(row("b"), { status: "refused", failure })],
    notifications: [mail("a", "failed")],
  });
  const outputs = stackOutputs(
    makePlan(before, settings),
    STACK,
    "ins_1",
    { total: 4, linked: 1, legacy: 2, withPassword: 3 },
    before.ledger,
    settings,
    before,
  );
  expect(outputs).toMatchObject({
    summary: { processed: 2, migrated: 1, adopted: 0, failed: 1, blocked: 1, excluded: 1 },
    failed: [{ userId: "b", reason: "taken", remedy: "change it" }],
    blocked: [{ userId: "c", reason: "has no e-mail address" }],
    excluded: [{ reason: "has no password hash", rows: 1 }],
    notifications: { sent: 0, failed: 1, pending: 0 },
  });
  const { processed, blocked, excluded } = outputs.summary;
  expect(processed + blocked + excluded).toBe(rows.length);
});
