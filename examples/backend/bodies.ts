import { z } from "zod";

import { Refusal } from "./errors";

/** Text that Postgres takes: it has no NUL. */
export const storable = z.string().regex(/^[^\0]*$/);

/** The body in the form asked for. The refusal says which fields are wrong, never what was in them. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const fields = [...new Set(parsed.error.issues.map((issue) => issue.path.join(".") || "the body"))];
  throw new Refusal(400, `Missing or malformed: ${fields.join(", ")}.`);
}
