import { z } from "zod";

import type { RowWithDigest, UserRow } from "../postgres/legacy-users";
import { digestFacts, fingerprintOf } from "../postgres/legacy-users";
import { phoneNumberOf } from "./phone";

/** What a row says about its user, in Clerk's terms. Text that is absent is empty: state holds neither null nor undefined. */
const profileShape = z.object({
  /** Trimmed and lower case, as Clerk keeps it. */
  email: z.string(),
  firstName: z.string(),
  lastName: z.string(),
  username: z.string(),
  /** E.164. */
  phoneNumber: z.string(),
  /** JSON objects as text; empty where there is none. */
  publicMetadata: z.string(),
  privateMetadata: z.string(),
  /** RFC 3339. */
  createdAt: z.string(),
  digestFingerprint: z.string(),
});

export type Profile = z.infer<typeof profileShape>;

/** Of somebody who has no row any more. */
export const noProfile: Profile = {
  email: "",
  firstName: "",
  lastName: "",
  username: "",
  phoneNumber: "",
  publicMetadata: "",
  privateMetadata: "",
  createdAt: "",
  digestFingerprint: "",
};

/** What is declared of one user. */
export const clerkUserInputs = z.object({
  userId: z.string(),
  /** What people see instead of the address: `s***e@ampdial.com`. */
  label: z.string(),
  /** `<project>/<stack>`, whom the ledger gives the user to. */
  stack: z.string(),
  /** Empty in state that an earlier version has written. */
  migrationId: z.string().default(""),
  /** carry: the legacy password works in Clerk. reset: the user sets one at the first sign-in. */
  passwords: z.enum(["carry", "reset"]),
  /** Personal data, and what a digest could be guessed from: one secret, encrypted in state and hidden on screen. */
  profile: profileShape,
  /** Raised by the ledger when something recorded as done has to be done again. */
  attempt: z.number(),
  /** An address that a decision gives instead of the row's; empty where there is none. A secret, too. */
  decidedEmail: z.string(),
  /** What is done about an address that nobody has proven: reserved keeps it unproven. Of the create alone. */
  emailStatus: z.enum(["verified", "reserved"]),
  /** The Clerk user to take over instead of creating one; empty to create. Of the create alone. */
  adopt: z.string(),
  /** Whether a user whom somebody deleted in Clerk is created anew. */
  recreate: z.boolean(),
  /** The row is gone, and a decision keeps the user: declared as recorded, and compared with nothing. */
  isKept: z.boolean().default(false),
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
  "doubled",
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

/** How the first state wrote a user: the profile in values of its own, and everybody created with a verified address. */
const flatUser = z.looseObject({
  profile: z.undefined().optional(),
  email: z.string(),
  firstName: z.string(),
  lastName: z.string(),
  createdAt: z.string(),
  digestFingerprint: z.string(),
});

function inTodaysForm(state: unknown): unknown {
  const flat = flatUser.safeParse(state).data;
  if (flat === undefined) return state;
  const { email, firstName, lastName, createdAt, digestFingerprint, ...others } = flat;
  const unknownThen = { username: "", phoneNumber: "", publicMetadata: "", privateMetadata: "" };
  return {
    ...others,
    profile: { email, firstName, lastName, createdAt, digestFingerprint, ...unknownThen },
    decidedEmail: "",
    emailStatus: "verified",
    adopt: "",
    recreate: false,
  };
}

/** The state as any commit has written it. */
export const storedUser = {
  inputs: z.preprocess(inTodaysForm, clerkUserInputs),
  outputs: z.preprocess(inTodaysForm, clerkUserOutputs),
};

/** Whether an `up` has something to do: a managed input differs, or the condition is not the one last seen. */
export function differs(recorded: ClerkUserOutputs, declared: ClerkUserInputs): boolean {
  if (declared.isKept) return false;
  return managed(recorded) !== managed(declared) || recorded.condition !== recorded.seen;
}

/** The inputs that decide whether there is something to do. The others speak of the create alone. */
function managed({ profile, passwords, attempt, migrationId, stack }: ClerkUserInputs): string {
  return JSON.stringify([
    applied(profile),
    profile.digestFingerprint,
    passwords,
    attempt,
    migrationId,
    stack,
  ]);
}

/** What an update would apply besides the digest; user name, phone number and metadata are the create's. */
function applied({ email, firstName, lastName, createdAt }: Profile): string[] {
  return [email, firstName, lastName, createdAt];
}

export function profileOf(row: UserRow, decidedEmail = ""): Profile {
  const split = splitName(row.name ?? "");
  return {
    email: normalEmail(decidedEmail || (row.email ?? "")),
    firstName: row.firstName?.trim() ?? split.firstName,
    lastName: row.lastName?.trim() ?? split.lastName,
    username: row.username?.trim().toLowerCase() ?? "",
    phoneNumber: phoneNumberOf(row.phoneNumber ?? "").number,
    publicMetadata: row.publicMetadata ?? "",
    privateMetadata: row.privateMetadata ?? "",
    createdAt: row.createdAt ?? "",
    digestFingerprint: row.digest?.fingerprint ?? "",
  };
}

export function profileWithDigest(row: RowWithDigest, decidedEmail = ""): Profile {
  return profileOf({ ...row, digest: digestFacts(row) }, decidedEmail);
}

/** Changes when what an update would apply does. */
export function profileFingerprint(userId: string, profile: Profile): string {
  return fingerprintOf(userId, JSON.stringify(applied(profile)));
}

/** A JSON object from its text; null where there is none. The plan has refused everything else. */
export function metadataOf(text: string): Record<string, unknown> | null {
  if (text === "") return null;
  return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
}

/** Clerk keeps addresses in lower case; two that differ in spaces or case are one. */
export function normalEmail(email: string): string {
  return email.normalize("NFC").trim().toLowerCase();
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

/** What an entry of a list means: an address, or the domain in `example.com`, `@example.com` or `*@example.com`. */
export function addressOrDomain(entry: string): string {
  return entry.toLowerCase().replace(/^\*?@/, "");
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
