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

/** What is there before a run, on both sides. */
export interface World extends Records {
  readonly clerk: ClerkFacts;
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
