import { inject } from "vitest";

import { openStack, type Stack, type StackOptions } from "../stack";

export type { Stack };

/** A stack on the server of this test run. */
export function startStack(options: StackOptions = {}): Promise<Stack> {
  return openStack(inject("postgresUrl"), options);
}
