import { z } from "zod";

import {
  bodyMalformed,
  inTheFuture,
  invalidEmailAddress,
  invalidTime,
  metadataTooBig,
  missingParameter,
  Refusal,
  unknownParameter,
  valueInvalid,
  valueNotAllowed,
  wrongType,
} from "./errors";
import type { Instance } from "./instance";
import type { Metadata } from "./records";

/** RFC 5322 would take more; this takes what people have. */
const EMAIL_ADDRESS = /^[^\s@<>(),;:"[\]\\]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

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
