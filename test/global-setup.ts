import type { TestProject } from "vitest/node";

import { startPostgres } from "../sandbox/postgres";

declare module "vitest" {
  interface ProvidedContext {
    /** An admin connection to the server of this run; `testDatabase` makes databases with it. */
    postgresUrl: string;
  }
}

/** One Postgres for the whole run: the server at TEST_DATABASE_URL, or one that ends with the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL ?? "";
  if (given !== "") {
    project.provide("postgresUrl", given);
    return () => Promise.resolve();
  }
  const server = await startPostgres();
  project.provide("postgresUrl", server.url);
  return () => server.stop();
}
