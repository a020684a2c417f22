import type { ClerkFacts } from "./clerk/facts";
import type { Decisions } from "./decisions";
import type { Finding } from "./findings";
import type { Ledger, LedgerNotification } from "./postgres/ledger";
import type { Holder } from "./postgres/ledger-migrations";
import type { UserRow } from "./postgres/legacy-users";
import type { Settings } from "./settings";

/** What the table and the ledger say before a run, and whose run it is. */
export interface Records {
  readonly rows: readonly UserRow[];
  readonly ledger: Ledger;
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
  /** Empty in a dry run before the first `up`, which makes it. */
  readonly migrationId: string;
  /** Whose earlier marks are ours, too. */
  readonly stacks: ReadonlySet<string>;
  /** `schema.table.column` of the link. */
  readonly link: string;
  /** Whom the ledger gives how many users to, of this migration and of others. */
  readonly holders: readonly Holder[];
  readonly decisions: Decisions;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Mails of a span of time that ends now. */
export interface Sent {
  readonly count: number;
  /** Milliseconds since 1970 of the oldest of them. */
  readonly oldest: number | null;
}

export interface ChannelFacts {
  readonly hour: Sent;
  readonly day: Sent;
  /** Of a development instance, which delivers 100 a month; null where there is no such limit. */
  readonly thisMonth: number | null;
  /** Why nothing can go out now; empty where it can. */
  readonly problem: string;
}

/** Which mails have gone out lately. */
export interface MailFacts {
  /** Of the Clerk instance, whoever sent them. */
  readonly invitations: ChannelFacts;
  readonly own: ChannelFacts;
  /** Milliseconds since 1970 of the first mail of our own. */
  readonly firstOwn: number | null;
  /** Of the invitations of which nobody has written down that they went out: those that Clerk has, by `mailKey`. */
  readonly found: ReadonlySet<string>;
  /** Lower-case addresses that somebody else has invited. */
  readonly invitedByOthers: ReadonlySet<string>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What Clerk says now of those who might be retired. */
export interface RetireFacts {
  /** By Clerk's user id: those who exist, and whether they are banned. */
  readonly banned: ReadonlyMap<string, boolean>;
  /** Why no digest may go now; empty where nothing speaks against it. */
  readonly canaryProblem: string;
}

/** What is there before a run, on both sides. */
export interface World extends Records {
  /** Mails that the ledger has forgotten, which are in `ledger` as if it had not: an `up` puts them on record again. */
  readonly forgottenMails: readonly LedgerNotification[];
  readonly clerk: ClerkFacts;
  readonly mails: MailFacts;
  /** Who has ever signed in: by Clerk's user id, milliseconds since 1970 of the last time. */
  readonly arrivals: ReadonlyMap<string, number>;
  readonly retire: RetireFacts;
  /** Of the database and of the instance as a whole. */
  readonly findings: readonly Finding[];
}

/** The settings that decide verdicts. */
export type PlanSettings = Pick<
  Settings,
  | "email"
  | "emails"
  | "domains"
  | "exclude"
  | "where"
  | "limit"
  | "percent"
  | "passwords"
  | "notify"
  | "notifyOnly"
  | "invitationsPerHour"
  | "mailsPerHour"
  | "mailsPerDay"
  | "mailWarmUp"
  | "redirectAllMailTo"
  | "remindAfterDays"
  | "maxReminders"
  | "retirePasswords"
  | "retireAfterDays"
  | "clerkInviteRedirectUrl"
  | "reveal"
  | "allowRemovals"
  | "takeOver"
  | "allowUndeliverable"
  | "heldOnly"
  | "existing"
  | "emailVerified"
  | "unverified"
  | "legalConsent"
  | "bypassDeviceTrust"
>;
