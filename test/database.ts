import { inject } from "vitest";

import { createDatabase, dropDatabase } from "../sandbox/postgres";

export interface TestDatabase {
  readonly url: string;
  /** Also ends the connections that are still open to it. */
  drop(): Promise<void>;
}

/** An empty database that no other test sees. */
export async function testDatabase(): Promise<TestDatabase> {
  const adminUrl = inject("postgresUrl");
  const url = await createDatabase(adminUrl);
  return { url, drop: () => dropDatabase(adminUrl, url) };
}
