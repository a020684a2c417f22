import { openClerk } from "./clerk/client";
import { askClerk } from "./clerk/facts";
import { checkInstance } from "./clerk/preflight";
import { readDecisions } from "./decisions";
import { questionsOf } from "./plan";
import { type Database, readOnly } from "./postgres/database";
import { readLedger } from "./postgres/ledger";
import { readUsers } from "./postgres/legacy-users";
import { checkDatabase } from "./postgres/preflight";
import type { Settings } from "./settings";
import type { World } from "./world";

/** Reads both systems, without writing: what is there before a run of this stack (`<project>/<stack>`). */
export async function observeStack(
  settings: Settings,
  database: Database,
  { project, stack }: { readonly project: string; readonly stack: string },
): Promise<World> {
  const clerk = openClerk({
    secretKey: settings.clerkSecretKey,
    apiUrl: settings.clerkApiUrl,
    requestsPer10s: settings.clerkRequestsPer10s,
  });
  const instance = await checkInstance(clerk, settings.clerkIssuerUrl);
  const decisions = readDecisions(settings.decisions);
  const { findings, ...records } = await readOnly(database, async (connection) => ({
    ...{ project, stack, clerkInstanceId: instance.id, decisions, now: Date.now() },
    rows: await readUsers(connection, settings.table, settings.where),
    ledger: await readLedger(connection, stack),
    findings: await checkDatabase(connection, settings.table),
  }));
  const facts = await askClerk(clerk, questionsOf(records, settings), {
    issuerUrl: settings.clerkIssuerUrl,
    instance,
    userLimit: settings.clerkUserLimit,
  });
  return { ...records, findings, clerk: facts };
}
