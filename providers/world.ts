import type { ClerkFacts } from "./clerk/facts";
import type { Decisions } from "./decisions";
import type { Finding } from "./findings";
import type { Ledger } from "./postgres/ledger";
import type { UserRow } from "./postgres/legacy-users";
import type { Settings } from "./settings";

/** What the table and the ledger say before a run, and whose run it is. */
export interface Records {
  readonly rows: readonly UserRow[];
  readonly ledger: Ledger;
  readonly project: string;
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
  readonly decisions: Decisions;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Which mails of the instance have gone out lately, whoever sent them. */
export interface MailFacts {
  readonly lastHour: number;
  /** Of a development instance, which delivers 100 a month; null where there is no such limit. */
  readonly thisMonth: number | null;
  /** Milliseconds since 1970 when the first of the last hour's mails is an hour old; null where there is none. */
  readonly nextAt: number | null;
}

/** What is there before a run, on both sides. */
export interface World extends Records {
  readonly clerk: ClerkFacts;
  readonly mails: MailFacts;
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
  | "clerkInviteRedirectUrl"
  | "reveal"
  | "allowRemovals"
  | "allowUndeliverable"
  | "heldOnly"
  | "existing"
  | "emailVerified"
  | "unverified"
  | "legalConsent"
  | "bypassDeviceTrust"
>;
