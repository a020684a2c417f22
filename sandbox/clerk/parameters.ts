import { z } from "zod";

import {
  bodyMalformed,
  inTheFuture,
  invalidEmailAddress,
  invalidPhoneNumber,
  invalidTime,
  metadataTooBig,
  missingParameter,
  Refusal,
  unknownParameter,
  usernameCharacter,
  usernameIsPhoneNumber,
  usernameLength,
  usernameNeedsLetter,
  valueInvalid,
  valueNotAllowed,
  wrongType,
} from "./errors";
import type { Instance } from "./instance";
import type { Metadata } from "./records";

/** RFC 5322 would take more; this takes what people have. Of top-level domains in Punycode Clerk's documentation says nothing. */
const EMAIL_ADDRESS =
  /^[^\s@<>(),;:"[\]\\]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+([A-Za-z]{2,}|xn--[A-Za-z0-9-]*[A-Za-z0-9])$/;

/** A country code, and after it no zero but where numbers have one abroad as well. */
const PHONE_NUMBER =
  /^\+(?=[1-9]\d{6,14}$)(?:(?:39|225|241|242|378|379)|(?:[17]|2[07]|3[0-46]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[05789]|9[679])\d)(?!0))/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Of first and last name. Not documented: careful. */
export const NAME_LENGTH = 256;

export const metadata = z.record(z.string(), z.json());

/** The body as the schema has it, or Clerk's 422 with every complaint in it. */
export function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const items = parsed.error.issues.flatMap((issue) => complaint(issue, body ?? {}).items);
  throw new Refusal(422, items);
}

function complaint(issue: z.core.$ZodIssue, body: unknown): Refusal {
  if (issue.code === "unrecognized_keys") {
    return new Refusal(
      422,
      issue.keys.flatMap((key) => unknownParameter(key).items),
    );
  }
  const parameter = issue.path.filter((step) => typeof step === "string").at(-1);
  if (parameter === undefined) return bodyMalformed();
  const value = valueAt(body, issue.path);
  if (value === undefined) return missingParameter(parameter);
  if (issue.code === "invalid_value")
    return valueNotAllowed(parameter, JSON.stringify(value), issue.values.map(String));
  if (issue.code === "invalid_type") return wrongType(parameter, issue.expected);
  return valueInvalid(parameter);
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined),
    body,
  );
}

/** Clerk keeps identifiers in lower case. */
export function emailAddress(given: string, parameter = "email_address"): string {
  const address = given.trim().toLowerCase();
  if (!EMAIL_ADDRESS.test(address) || address.length > 254) throw invalidEmailAddress(parameter);
  return address;
}

/** E.164, as Clerk wants it. */
export function phoneNumber(given: string): string {
  if (!PHONE_NUMBER.test(given)) throw invalidPhoneNumber();
  return given;
}

/** By the rules that the dashboard sets, in lower case. */
export function username({ settings: { usernames } }: Instance, given: string): string {
  const name = given.toLowerCase();
  if (name.length < usernames.minLength || name.length > usernames.maxLength)
    throw usernameLength(usernames.minLength, usernames.maxLength);
  const letters = usernames.allowsSpecialCharacters ? /^[a-z0-9_!#$'+.^`~-]+$/ : /^[a-z0-9_-]+$/;
  if (!letters.test(name)) throw usernameCharacter();
  if (/^\+[1-9]\d{6,14}$/.test(name)) throw usernameIsPhoneNumber();
  if (!usernames.allowsNumbersAlone && /^\d+$/.test(name)) throw usernameNeedsLetter();
  return name;
}

/** Milliseconds of an RFC 3339 time that must have passed already. */
export function pastTime(given: string, parameter: string, now: number): number {
  const time = RFC3339.test(given) ? Date.parse(given) : NaN;
  if (Number.isNaN(time)) throw invalidTime(parameter);
  if (time > now) throw inTheFuture(parameter);
  return time;
}

export function checkMetadata(instance: Instance, fields: Readonly<Record<string, Metadata>>): void {
  for (const [parameter, value] of Object.entries(fields)) {
    const { metadataBytes } = instance.limits;
    if (Buffer.byteLength(JSON.stringify(value)) > metadataBytes)
      throw metadataTooBig(parameter, metadataBytes);
  }
}
