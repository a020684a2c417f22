import { tooManyItems, valueInvalid, wrongType } from "./errors";

/** Clerk's page size where none is asked for: easily forgotten, and ninety of a hundred are lost. */
const DEFAULT_LIMIT = 10;
const LARGEST_LIMIT = 500;

export interface Page {
  readonly limit: number;
  readonly offset: number;
}

export function pageOf(query: URLSearchParams): Page {
  const limit = integerOf(query, "limit") ?? DEFAULT_LIMIT;
  const offset = integerOf(query, "offset") ?? 0;
  if (limit < 1 || limit > LARGEST_LIMIT) throw valueInvalid("limit");
  if (offset < 0) throw valueInvalid("offset");
  return { limit, offset };
}

export function pick<T>(all: readonly T[], { limit, offset }: Page): readonly T[] {
  return all.slice(offset, offset + limit);
}

export function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^-?\d+$/.test(text)) throw wrongType(name, "integer");
  return Number(text);
}

export function booleanOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (text !== "true" && text !== "false") throw wrongType(name, "boolean");
  return text === "true";
}

/** A filter's values, repeated (`a=1&a=2`) as Clerk wants them. */
export function valuesOf(query: URLSearchParams, name: string, limit: number): readonly string[] | undefined {
  const values = query.getAll(name);
  if (values.length > limit) throw tooManyItems(name, limit);
  return values.length === 0 ? undefined : values;
}

/** `+field`, `-field` or `field`. */
export function orderOf(
  query: URLSearchParams,
  allowed: readonly string[],
): { field: string; descending: boolean } {
  const given = query.get("order_by") ?? "-created_at";
  const field = given.replace(/^[+\- ]/, "");
  if (!allowed.includes(field)) throw valueInvalid("order_by");
  return { field, descending: given.startsWith("-") };
}
