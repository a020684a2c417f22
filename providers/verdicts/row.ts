import { z } from "zod";

import type { ClerkUser } from "../clerk/user";
import { domainOf, type Profile } from "../clerk-user/inputs";
import { phoneNumberFlaw } from "../clerk-user/phone";
import type { UserRow } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import { judge, type Judgement } from "./reasons";

/** Clerk's limits: 8 KB of metadata (clerk.com/docs, metadata); the names' is our inference, and careful. */
const METADATA_BYTES = 8_192;
const NAME_LENGTH = 256;

/** What our mark takes of the private metadata, generously. */
const MARK_BYTES = 512;

export type RowSettings = Pick<Settings, "emailVerified" | "unverified" | "allowUndeliverable">;

/** What is wrong with a row whatever Clerk says; undefined where nothing is. `now`: milliseconds since 1970. */
export function rowProblem(
  row: UserRow,
  profile: Profile,
  settings: RowSettings,
  now: number,
): Judgement | undefined {
  const { email } = profile;
  const noAddress = addressProblem(email);
  if (noAddress !== undefined) return noAddress;
  if (!settings.allowUndeliverable && isUndeliverable(email)) return judge("undeliverable-email");
  if (settings.unverified === "block" && !isEmailVerified(row, settings)) return judge("unverified-email");
  return profileProblem(profile, now);
}

/** What Clerk would refuse of the other values, whoever sends them. */
export function profileProblem(profile: Profile, now: number): Judgement | undefined {
  if ([profile.firstName, profile.lastName].some((name) => name.length > NAME_LENGTH))
    return judge("long-name");
  if (profile.createdAt !== "" && Date.parse(profile.createdAt) > now) return judge("future-date");
  const phoneFlaw = phoneNumberFlaw(profile.phoneNumber);
  if (phoneFlaw !== undefined) return judge("malformed-phone", phoneFlaw);
  return (
    metadataProblem("public", profile.publicMetadata) ?? metadataProblem("private", profile.privateMetadata)
  );
}

/** The same of an update, which sends address, names and sign-up date, where they differ. */
export function changeProblem(
  profile: Profile,
  live: Pick<ClerkUser, "primaryEmail" | "firstName" | "lastName" | "createdAt">,
  now: number,
): Judgement | undefined {
  const { email, firstName, lastName, createdAt } = profile;
  const sent: Profile = {
    ...profile,
    firstName: firstName === live.firstName ? "" : firstName,
    lastName: lastName === live.lastName ? "" : lastName,
    createdAt: Date.parse(createdAt) === live.createdAt ? "" : createdAt,
    phoneNumber: "",
    publicMetadata: "",
    privateMetadata: "",
  };
  return (email === live.primaryEmail ? undefined : addressProblem(email)) ?? profileProblem(sent, now);
}

/** What keeps Clerk from taking an address, whosever it is. */
export function addressProblem(email: string): Judgement | undefined {
  if (email === "") return judge("no-email");
  const flaw = addressFlaw(email);
  return flaw === undefined ? undefined : judge("malformed-email", flaw);
}

export function isEmailVerified(row: UserRow, { emailVerified }: Pick<Settings, "emailVerified">): boolean {
  if (emailVerified === "all") return true;
  return emailVerified !== "none" && row.isEmailVerified === true;
}

/** One @, a local part and a domain of at least two labels, in ASCII, as Clerk takes it; undefined where it is fine. */
export function addressFlaw(address: string): string | undefined {
  if (address.length > 254) return "longer than 254 characters";
  if (/\s/u.test(address)) return "it has a space in it";

  if (/[^\x00-\x7f]/.test(address)) {
    return /\p{Cf}/u.test(address) ? "it has an invisible character in it" : "it has characters beyond ASCII";
  }
  const [local = "", domain = "", ...more] = address.split("@");
  if (more.length > 0) return "it has more than one @";
  if (local === "" || domain === "") return "a part is missing";
  if (local.length > 64) return "its part before the @ is longer than 64 characters";
  if (!/^[^<>(),;:"[\]\\]+$/.test(local) || /^\.|\.\.|\.$/.test(local))
    return "its part before the @ is malformed";
  // A last label in Punycode is a top-level domain of another script: xn--p1ai.
  return /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+([a-z]{2,}|xn--[a-z0-9-]*[a-z0-9])$/.test(domain)
    ? undefined
    : "its domain is malformed";
}

/** Names that can receive no mail: RFC 2606 and RFC 6761. */
function isUndeliverable(address: string): boolean {
  const domain = domainOf(address);
  return (
    /(^|\.)(test|local|localhost|invalid|example)$/.test(domain) ||
    /(^|\.)example\.(com|net|org)$/.test(domain)
  );
}

const jsonObject = z.record(z.string(), z.unknown());

function metadataProblem(kind: "public" | "private", text: string): Judgement | undefined {
  if (text === "") return undefined;
  const room = METADATA_BYTES - (kind === "private" ? MARK_BYTES : 0);
  try {
    const parsed = jsonObject.safeParse(JSON.parse(text));
    if (!parsed.success) return judge("malformed-metadata", kind);
    return Buffer.byteLength(JSON.stringify(parsed.data)) > room ? judge("large-metadata", kind) : undefined;
  } catch {
    return judge("malformed-metadata", kind);
  }
}
