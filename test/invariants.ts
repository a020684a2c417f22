import type { Invitation, User } from "../sandbox/clerk/server";
import { type DatabaseSnapshot, describeDifference } from "../sandbox/snapshot";

/** A row of the sample's users table. */
export interface Row {
  readonly userId: string;
  readonly email: string;
  readonly name: string | null;
  readonly digest: string | null;
  readonly clerkUserId: string | null;
  readonly createdAt: string;
}

/** What of the ledger the promises are about. Empty where there is none. */
export interface Ledger {
  readonly users: readonly {
    readonly user_id: string;
    readonly stack: string;
    readonly status: string;
    readonly clerk_user_id: string | null;
    readonly origin: string | null;
  }[];
  readonly notifications: readonly {
    readonly user_id: string;
    readonly number: number;
    readonly status: string;
  }[];
  readonly retired_passwords: readonly {
    readonly user_id: string;
    readonly status: string;
    readonly sealed: string | null;
  }[];
}

export interface DatabaseFacts {
  /** By `user_id`. */
  readonly rows: ReadonlyMap<string, Row>;
  /** The application's tables beside `users`, to the byte. */
  readonly otherTables: DatabaseSnapshot;
  readonly ledger: Ledger;
}

/** Everything that there is at one moment: both systems, ledger, mailboxes and state. */
export interface Facts extends DatabaseFacts {
  /** By Clerk's id. */
  readonly clerkUsers: ReadonlyMap<string, User>;
  readonly openInvitations: readonly Invitation[];
  /** The address of every mail that has left, Clerk's and our own, in lower case. */
  readonly mails: readonly string[];
  /** As Pulumi keeps it; empty where there is none. */
  readonly state: string;
}

/**
 * What the world outside of the program has done, by which the promises are measured: both systems before the first
 * run, with whatever others have changed since.
 */
export interface Given {
  /** As the application wrote them, by `user_id`; a link in them is not ours. */
  readonly rows: ReadonlyMap<string, Row>;
  readonly otherTables: DatabaseSnapshot;
  /** Whom others have made, as they left them, by Clerk's id: strangers, users of another database, those to adopt. */
  readonly clerkUsers: ReadonlyMap<string, User>;
  /** Which of those may be adopted, and for which row: Clerk's id to `user_id`. */
  readonly adoptable: ReadonlyMap<string, string>;
  /** Who has ever signed in with Clerk as somebody whom we made, by `user_id`: nobody tells them again. */
  readonly arrived: ReadonlySet<string>;
  /** How many mails an address may have got by now. One that is not named may have got none. */
  readonly mailsAllowed: ReadonlyMap<string, number>;
  /** own: mails of ours. Nobody can ask a mail server, so what may be out stays unknown, and is not repeated. */
  readonly tells: "invitation" | "own" | "nobody";
}

/** What the facts themselves give: both systems before the first run, when nobody may be adopted, and nobody be told. */
export function givenBy({ rows, otherTables, clerkUsers }: Facts, also: Partial<Given> = {}): Given {
  return {
    rows,
    otherTables,
    clerkUsers,
    adoptable: new Map(),
    arrived: new Set(),
    mailsAllowed: new Map(),
    tells: "invitation",
    ...also,
  };
}

/** A promise. It answers a sentence for each breach: none means that it holds. */
type Invariant = (given: Given, now: Facts) => string[];

/** Strangers, users of another database and those who were adopted are all still there. */
export const nobodyOfOthersDeleted: Invariant = (given, now) =>
  [...given.clerkUsers.keys()]
    .filter((id) => !now.clerkUsers.has(id))
    .map((id) => `${id} was in Clerk before us, and is deleted`);

/** Nobody of others is changed, but for external id and mark of those who are adopted. */
export const nobodyOfOthersChanged: Invariant = (given, now) =>
  [...given.clerkUsers].flatMap(([id, was]) => {
    const is = now.clerkUsers.get(id);
    if (is === undefined) return [];
    const userId = given.adoptable.get(id);
    if (userId === undefined) return same(was, is) ? [] : [`${id} is nobody of ours, and is changed`];
    const { clerk_migration: mark, ...metadata } = is.privateMetadata;
    const givenBack = {
      ...is,
      // The id of the row or what was there: the mark alone says that it is ours.
      externalId: is.externalId === userId ? was.externalId : is.externalId,
      privateMetadata: mark === undefined ? is.privateMetadata : metadata,
      updatedAt: was.updatedAt,
    };
    return same(was, givenBack) ? [] : [`${id} is adopted, and more than external id and mark is changed`];
  });

/** Whoever is new in Clerk belongs to one row, which has nobody else. */
export const nobodyDoubled: Invariant = (given, now) => {
  const made = [...now.clerkUsers.values()].filter(({ id }) => !given.clerkUsers.has(id));
  const strangers = made
    .filter(({ externalId }) => externalId === null || !given.rows.has(externalId))
    .map(({ id }) => `${id} is new in Clerk and belongs to no row`);
  const doubled = [...given.rows.values()].flatMap(({ userId, email }) => {
    const theirs = [...now.clerkUsers.values()].filter(
      (user) =>
        user.externalId === userId ||
        (!given.clerkUsers.has(user.id) && addressesOf(user).includes(email.toLowerCase())),
    );
    return theirs.length < 2 ? [] : [`${userId} has ${theirs.length.toString()} Clerk users`];
  });
  const links = [...now.rows.values()].flatMap(({ clerkUserId }) => clerkUserId ?? []);
  const shared = new Set(links.filter((link, index) => links.indexOf(link) !== index));
  return [...strangers, ...doubled, ...[...shared].map((link) => `${link} is the link of two rows`)];
};

/** A link is the one that was there before us, or leads to somebody in Clerk who carries the row's id. */
export const linksRight: Invariant = (given, now) =>
  [...now.rows.values()].flatMap(({ userId, clerkUserId }) => {
    const before = given.rows.get(userId)?.clerkUserId ?? null;
    if (before !== null)
      return clerkUserId === before
        ? []
        : [`${userId} was linked before us, and the link is ${String(clerkUserId)}`];
    if (clerkUserId === null) return [];
    const user = now.clerkUsers.get(clerkUserId);
    if (user === undefined) return [`${userId} is linked to ${clerkUserId}, who is nobody in Clerk`];
    return user.externalId === userId
      ? []
      : [`${userId} is linked to ${clerkUserId}, who has the external id ${String(user.externalId)}`];
  });

/** The application's data are as it wrote them, but for the link, and for a digest that is sealed in the ledger. */
export const dataKept: Invariant = (given, now) => {
  const sealed = new Set(
    now.ledger.retired_passwords
      .filter((entry) => entry.status === "retired" && entry.sealed !== null)
      .map((entry) => entry.user_id),
  );
  const others = describeDifference(given.otherTables, now.otherTables);
  const more = [...now.rows.keys()]
    .filter((userId) => !given.rows.has(userId))
    .map((id) => `${id} is a new row`);
  const rows = [...given.rows.values()].flatMap((was) => {
    const is = now.rows.get(was.userId);
    if (is === undefined) return [`the row of ${was.userId} is gone`];
    const isSealed = is.digest === null && sealed.has(was.userId);
    const kept = { ...is, clerkUserId: was.clerkUserId, digest: isSealed ? was.digest : is.digest };
    if (same(was, kept)) return [];
    const what = is.digest !== was.digest && !isSealed ? "lost its digest, or has another" : "is changed";
    return [`the row of ${was.userId} ${what}`];
  });
  return [...others, ...more, ...rows];
};

/** Nobody is mailed twice, or at all where nobody is to be told. */
export const mailedAsAllowed: Invariant = (given, now) =>
  [...new Set(now.mails)].flatMap((address) => {
    const count = now.mails.filter((to) => to === address).length;
    const allowed = given.mailsAllowed.get(address) ?? 0;
    return count <= allowed
      ? []
      : [`${whose(given, address)} got ${count.toString()} mails, and ${allowed.toString()} were allowed`];
  });

/** Digests are in the table alone: not in the state. */
export const noDigestInState: Invariant = (given, now) =>
  [...given.rows.values()].flatMap(({ userId, digest }) =>
    digest !== null && now.state.includes(digest) ? [`the digest of ${userId} is in the state`] : [],
  );

/** What holds at any moment, whatever has been killed. */
const always: readonly Invariant[] = [
  nobodyOfOthersDeleted,
  nobodyOfOthersChanged,
  nobodyDoubled,
  linksRight,
  dataKept,
  mailedAsAllowed,
  noDigestInState,
];

export const holdsAlways: Invariant = (given, now) => always.flatMap((invariant) => invariant(given, now));

/** An `up` takes nobody away: not from Clerk, and no link. */
export function upDeletesNobody(before: Facts, after: Facts): string[] {
  return [
    ...[...before.clerkUsers.keys()]
      .filter((id) => !after.clerkUsers.has(id))
      .map((id) => `an up has deleted ${id}, ${String(before.clerkUsers.get(id)?.externalId)}`),
    ...[...before.rows.values()].flatMap(({ userId, clerkUserId }) => {
      const link = after.rows.get(userId)?.clerkUserId ?? null;
      return clerkUserId === null || clerkUserId === link
        ? []
        : [`an up has changed the link of ${userId} from ${clerkUserId} to ${String(link)}`];
    }),
  ];
}

/** Whatever was refused, or only looks: both systems, the mailboxes and the ledger say the same as before. */
export function nothingChanged(before: Facts, after: Facts): string[] {
  return [
    ...databaseUnchanged(before, after),
    ...unchanged("Clerk's users", [...before.clerkUsers], [...after.clerkUsers]),
    ...unchanged("Clerk's open invitations", before.openInvitations, after.openInvitations),
    ...unchanged("the mails that have left", before.mails, after.mails),
  ];
}

/** The part of it that is about one database. */
export function databaseUnchanged(before: DatabaseFacts, after: DatabaseFacts): string[] {
  return [
    ...unchanged("rows of the users table", [...before.rows], [...after.rows]),
    ...describeDifference(before.otherTables, after.otherTables),
    ...unchanged("the ledger", before.ledger, after.ledger),
  ];
}

function unchanged(what: string, was: unknown, is: unknown): string[] {
  return same(was, is) ? [] : [`nothing should change, and ${what} did`];
}

/** Once an `up` has succeeded: every legacy user has one Clerk user, whom link, ledger and state lead to. */
export const everybodyMigrated: Invariant = (given, now) =>
  legacyIn(given).flatMap(({ userId }) => {
    const theirs = [...now.clerkUsers.values()].filter(({ externalId }) => externalId === userId);
    const [user] = theirs;
    if (user === undefined || theirs.length > 1)
      return [`${userId} has ${theirs.length.toString()} Clerk users`];
    const link = now.rows.get(userId)?.clerkUserId;
    const entries = now.ledger.users.filter((entry) => entry.user_id === userId && entry.status === "linked");
    const origin = given.clerkUsers.has(user.id) ? "adopted" : "created";
    return [
      link === user.id ? [] : [`${userId} is linked to ${String(link)}`],
      entries.length === 1 && entries[0]?.clerk_user_id === user.id
        ? []
        : [`${userId} is linked ${entries.length.toString()} times in the ledger`],
      entries.every((entry) => entry.origin === origin) ? [] : [`${userId} does not count as ${origin}`],
      now.state.includes(user.id) ? [] : [`${userId} is not in the state`],
    ].flat();
  });

/** Once an `up` has succeeded: whoever has not arrived has got a mail at the present address, and a link that works. */
export const everybodyTold: Invariant = (given, now) => {
  if (given.tells === "nobody") return [];
  return legacyIn(given).flatMap(({ userId, email }) => {
    if (given.arrived.has(userId) || isAdopted(given, userId)) return [];
    const address = email.toLowerCase();
    const told = now.ledger.notifications.find(
      (entry) => entry.user_id === userId && entry.number === 0,
    )?.status;
    const mails = now.mails.filter((to) => to === address).length;
    const open = now.openInvitations.filter(
      ({ emailAddress }) => emailAddress.toLowerCase() === address,
    ).length;
    if (given.tells === "own") {
      if (told === "unknown") return [];
      return told === "sent" && mails > 0 && open === 0
        ? []
        : [
            `${userId} is told: ${String(told)}, by ${mails.toString()} mails and ${open.toString()} invitations`,
          ];
    }
    return told === "sent" && mails > 0 && open > 0
      ? []
      : [
          `${userId} is told: ${String(told)}, by ${mails.toString()} mails, ${open.toString()} of which are open`,
        ];
  });
};

/** Once an `up` has succeeded: name, address and password in Clerk are the row's, until the first sign-in there. */
export const profilesFollow: Invariant = (given, now) =>
  legacyIn(given).flatMap(({ userId, email, name, digest }) => {
    const user = [...now.clerkUsers.values()].find(({ externalId }) => externalId === userId);
    if (user === undefined || isAdopted(given, userId) || user.lastSignInAt !== null) return [];
    const primary = user.emailAddresses.find(({ id }) => id === user.primaryEmailAddressId)?.emailAddress;
    const full = [user.firstName, user.lastName].flatMap((part) => part ?? []).join(" ");
    return [
      primary === email.toLowerCase() && user.emailAddresses.length === 1
        ? []
        : [`${userId} has another address in Clerk`],
      full === (name ?? "").trim() ? [] : [`${userId} has another name in Clerk`],
      user.password?.digest === digest ? [] : [`${userId} has another password in Clerk`],
    ].flat();
  });

/** Once an `up` has succeeded that retires: the digest of whoever has arrived, and was linked before, is out of the table, and sealed. */
export const arrivedAreRetired = (given: Given, now: Facts, before: ReadonlySet<string>): string[] =>
  legacyIn(given).flatMap(({ userId }) => {
    if (!before.has(userId)) return [];
    const user = [...now.clerkUsers.values()].find(({ externalId }) => externalId === userId);
    if (user === undefined || user.lastSignInAt === null) return [];
    const entry = now.ledger.retired_passwords.find(({ user_id }) => user_id === userId);
    return entry?.status === "retired" && entry.sealed !== null
      ? []
      : [`the digest of ${userId} is ${String(entry?.status)}`];
  });

/** Once a `destroy` has succeeded: both systems are as others have left them, and no link that was sent works. */
export const asBefore: Invariant = (given, now) => {
  const rows = [...given.rows.values()].filter((was) => !same(was, now.rows.get(was.userId)));
  const users = [...now.clerkUsers.values()].filter((is) => {
    const was = given.clerkUsers.get(is.id);
    const isTouched = given.adoptable.has(is.id);
    return was === undefined || !same(was, isTouched ? { ...is, updatedAt: was.updatedAt } : is);
  });
  return [
    ...nobodyOfOthersDeleted(given, now),
    ...describeDifference(given.otherTables, now.otherTables),
    ...[...now.rows.keys()].filter((id) => !given.rows.has(id)).map((id) => `${id} is a new row`),
    ...rows.map(
      ({ userId }) =>
        `the row of ${userId} is not as it was: ${differenceOf(given.rows.get(userId), now.rows.get(userId))}`,
    ),
    ...users.map(
      (is) => `${is.id} in Clerk is not as before: ${differenceOf(given.clerkUsers.get(is.id), is)}`,
    ),
    ...now.openInvitations
      .filter(({ emailAddress }) => isOfOurs(given, emailAddress))
      .map(({ id, emailAddress }) => `the invitation ${id} of ${whose(given, emailAddress)} is still open`),
  ];
};

/** Whom the program is to migrate: rows with a digest, and without a link of others. */
function legacyIn(given: Given): Row[] {
  return [...given.rows.values()].filter(
    ({ digest, clerkUserId }) => digest !== null && clerkUserId === null,
  );
}

function isAdopted(given: Given, userId: string): boolean {
  return [...given.adoptable.values()].includes(userId);
}

function isOfOurs(given: Given, address: string): boolean {
  return given.mailsAllowed.size === 0 || given.mailsAllowed.has(address.toLowerCase());
}

/** The `user_id`: a violation names nobody's address. */
function whose(given: Given, address: string): string {
  const row = [...given.rows.values()].find(({ email }) => email.toLowerCase() === address.toLowerCase());
  return row?.userId ?? "somebody without a row";
}

function addressesOf(user: User): string[] {
  return user.emailAddresses.map(({ emailAddress }) => emailAddress.toLowerCase());
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Which of its fields differ. */
function differenceOf(was: object | undefined, is: object | undefined): string {
  if (was === undefined || is === undefined) return was === undefined ? "it is new" : "it is gone";
  const [before, after] = [new Map(Object.entries(was)), new Map(Object.entries(is))];
  return [...before.keys()].filter((key) => !same(before.get(key), after.get(key))).join(", ");
}
