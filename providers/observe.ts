import { type Clerk, openClerk } from "./clerk/client";
import { askClerk } from "./clerk/facts";
import { checkInstance } from "./clerk/preflight";
import { readDecisions } from "./decisions";
import { MigrationError } from "./errors";
import type { Finding } from "./findings";
import { observeMails, readMailTimes } from "./observe-mails";
import { questionsOf } from "./plan";
import { type Connection, type Database, readOnly } from "./postgres/database";
import { readLedger } from "./postgres/ledger";
import { readUsers } from "./postgres/legacy-users";
import { checkCondition, checkDatabase } from "./postgres/preflight";
import type { Settings } from "./settings";
import type { World } from "./world";

/** Reads both systems, without writing: what is there before a run of this stack (`<project>/<stack>`). */
export async function observeStack(
  settings: Settings,
  database: Database,
  { project, stack }: { readonly project: string; readonly stack: string },
  clerk = clerkOf(settings),
  now = Date.now(),
): Promise<World> {
  const instance = await checkInstance(clerk, settings.clerkIssuerUrl);
  const decisions = readDecisions(settings.decisions);
  const { findings, times, ...records } = await readOnly(database, async (connection) => {
    const checked = await checkDatabase(connection, settings.table, settings.databaseUrl);
    refuseOtherTable(checked);
    if (settings.where !== "") checked.push(await condition(connection, settings));
    return {
      ...{ project, stack, clerkInstanceId: instance.id, decisions, now, findings: checked },
      rows: await readUsers(connection, settings.table, settings.where),
      ledger: await readLedger(connection, stack),
      times: await readMailTimes(connection, instance.id, now),
    };
  });
  const mails = await observeMails(clerk, instance, times, settings, records);
  const isWatched = [...records.ledger.users.values()].some((user) => user.status === "linked");
  const facts = await askClerk(clerk, questionsOf(records, settings), {
    issuerUrl: settings.clerkIssuerUrl,
    instance,
    userLimit: settings.clerkUserLimit,
  });
  return {
    ...records,
    findings: [...findings, ...mails.findings],
    clerk: facts,
    mails: mails.facts,
    arrivals: isWatched ? await clerk.arrivals() : new Map(),
  };
}

/** Clerk with these settings, for reading. */
export function clerkOf(settings: Settings): Clerk {
  return openClerk({
    secretKey: settings.clerkSecretKey,
    apiUrl: settings.clerkApiUrl,
    requestsPer10s: settings.clerkRequestsPer10s,
  });
}

const unreadable = ["database/version", "database/table", "database/columns"];

/** Without these nothing can be read; every other finding is part of the plan. */
function refuseOtherTable(findings: readonly Finding[]): void {
  const found = findings.find(({ check, status }) => status === "problem" && unreadable.includes(check));
  if (found !== undefined) throw new MigrationError(found.check, found.sentence, found.remedy);
}

async function condition(connection: Connection, { table, where }: Settings): Promise<Finding> {
  const found = await checkCondition(connection, table, where);
  if (found.status === "problem") throw new MigrationError("where", found.sentence, found.remedy);
  return found;
}
