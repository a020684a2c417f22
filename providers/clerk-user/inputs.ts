import { z } from "zod";

import type { Hasher, RowWithDigest, UserRow } from "../postgres/legacy-users";
import { digestFacts, fingerprintOf } from "../postgres/legacy-users";

/** What is declared of one user. Text that is absent is empty: state holds neither null nor undefined. */
export const clerkUserInputs = z.object({
  userId: z.string(),
  /** What people see instead of the address: `s***e@ampdial.com`. */
  label: z.string(),
  project: z.string(),
  stack: z.string(),
  /** Trimmed and lower case, as Clerk keeps it. Encrypted in state, like the names and the fingerprint. */
  email: z.string(),
  firstName: z.string(),
  lastName: z.string(),
  /** RFC 3339; empty where the row has none. */
  createdAt: z.string(),
  /** carry: the legacy password works in Clerk. reset: the user sets one at the first sign-in. */
  passwords: z.enum(["carry", "reset"]),
  digestFingerprint: z.string(),
  /** Raised by the ledger when something recorded as done has to be done again. */
  attempt: z.number(),
});

export type ClerkUserInputs = z.infer<typeof clerkUserInputs>;

/** In the order of severity: the first that applies is the condition. */
export const conditions = [
  "ok",
  "row-gone",
  "gone",
  "not-ours",
  "unlinked",
  "relinked",
  "banned",
  "locked",
  "email-changed",
] as const;

export type Condition = (typeof conditions)[number];

export const clerkUserOutputs = clerkUserInputs.extend({
  clerkUserId: z.string(),
  clerkInstanceId: z.string(),
  origin: z.enum(["created", "adopted"]),
  /** How the live user is, as of the last read. */
  condition: z.enum(conditions),
  /** The condition last acknowledged by an `up`. */
  seen: z.enum(conditions),
  /** RFC 3339; empty until the user has signed in with Clerk. */
  lastSignInAt: z.string(),
});

export type ClerkUserOutputs = z.infer<typeof clerkUserOutputs>;

/** The inputs that decide whether there is something to do. */
const managed = [
  "email",
  "firstName",
  "lastName",
  "createdAt",
  "passwords",
  "digestFingerprint",
  "attempt",
  "project",
  "stack",
] as const satisfies readonly (keyof ClerkUserInputs)[];

/** Whether an `up` has something to do: a managed input differs, or the condition is not the one last seen. */
export function differs(recorded: ClerkUserOutputs, declared: ClerkUserInputs): boolean {
  return managed.some((key) => recorded[key] !== declared[key]) || recorded.condition !== recorded.seen;
}

/** What a row says about its user, in Clerk's terms. */
export interface Profile {
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly createdAt: string;
  readonly digestFingerprint: string;
  /** null where there is no digest, or none that Clerk takes. */
  readonly hasher: Hasher | null;
}

export function profileOf(row: UserRow): Profile {
  return {
    email: normalEmail(row.email ?? ""),
    ...splitName(row.name ?? ""),
    createdAt: row.createdAt ?? "",
    digestFingerprint: row.digest?.fingerprint ?? "",
    hasher: row.digest?.hasher ?? null,
  };
}

export function profileWithDigest(row: RowWithDigest): Profile {
  return profileOf({ ...row, digest: digestFacts(row) });
}

/** Of what an update would apply besides the digest. */
export function profileFingerprint(userId: string, profile: Profile): string {
  const { email, firstName, lastName, createdAt } = profile;
  return fingerprintOf(userId, JSON.stringify([email, firstName, lastName, createdAt]));
}

/** Clerk keeps addresses in lower case; two that differ in spaces or case are one. */
export function normalEmail(email: string): string {
  return email.normalize("NFC").trim().toLowerCase();
}

/** The first word and the rest, in any script. One word is a first name. */
export function splitName(name: string): { firstName: string; lastName: string } {
  const [firstName = "", ...rest] = name.trim().split(/\s+/u);
  return { firstName, lastName: rest.join(" ") };
}

/** First and last letter of the local part, and the domain. */
export function maskedEmail(email: string): string {
  const at = email.lastIndexOf("@");
  if (at < 1) return "***";
  const letters = Array.from(email.slice(0, at));
  const last = letters.length > 2 ? (letters.at(-1) ?? "") : "";
  return `${letters[0] ?? ""}***${last}${email.slice(at)}`;
}
