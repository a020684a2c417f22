import { type Clerk, type Instance, openClerk } from "./clerk/client";
import { askClerk } from "./clerk/facts";
import { checkInstance } from "./clerk/preflight";
import { readDecisions } from "./decisions";
import { MigrationError } from "./errors";
import type { Finding } from "./findings";
import { questionsOf } from "./plan";
import { type Connection, type Database, readOnly } from "./postgres/database";
import { hasLedger, readLedger } from "./postgres/ledger";
import { mailTimes } from "./postgres/ledger-invitations";
import { readUsers } from "./postgres/legacy-users";
import { checkCondition, checkDatabase } from "./postgres/preflight";
import type { Settings } from "./settings";
import type { MailFacts, World } from "./world";

/** Reads both systems, without writing: what is there before a run of this stack (`<project>/<stack>`). */
export async function observeStack(
  settings: Settings,
  database: Database,
  { project, stack }: { readonly project: string; readonly stack: string },
  clerk = clerkOf(settings),
): Promise<World> {
  const instance = await checkInstance(clerk, settings.clerkIssuerUrl);
  const decisions = readDecisions(settings.decisions);
  const { findings, sentTimes, ...records } = await readOnly(database, async (connection) => {
    const checked = await checkDatabase(connection, settings.table, settings.databaseUrl);
    refuseOtherTable(checked);
    if (settings.where !== "") checked.push(await condition(connection, settings));
    return {
      ...{ project, stack, clerkInstanceId: instance.id, decisions, now: Date.now(), findings: checked },
      rows: await readUsers(connection, settings.table, settings.where),
      ledger: await readLedger(connection, stack),
      sentTimes: (await hasLedger(connection))
        ? await mailTimes(connection, instance.id, new Date(Date.now() - MONTH))
        : [],
    };
  });
  const mails = await mailFacts(clerk, instance, sentTimes, records.now);
  const facts = await askClerk(clerk, questionsOf(records, settings), {
    issuerUrl: settings.clerkIssuerUrl,
    instance,
    userLimit: settings.clerkUserLimit,
  });
  return { ...records, findings, clerk: facts, mails };
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

const HOUR = 3_600_000;
const MONTH = 31 * 24 * HOUR;

/** Counted on both sides, and the larger number taken: the dashboard and the application send invitations, too. */
async function mailFacts(
  clerk: Clerk,
  instance: Instance,
  sentTimes: readonly number[],
  now: number,
): Promise<MailFacts> {
  const clerkTimes = await clerk.invitationTimes();
  const since = (start: number) =>
    [sentTimes, clerkTimes].map((times) => times.filter((time) => time > start));
  const most = (counted: readonly (readonly number[])[]) => Math.max(...counted.map((times) => times.length));
  const lastHour = since(now - HOUR);
  const today = new Date(now);
  const month = Date.UTC(today.getUTCFullYear(), today.getUTCMonth());
  const oldest = Math.min(...lastHour.flat());
  return {
    lastHour: most(lastHour),
    thisMonth: instance.kind === "development" ? most(since(month)) : null,
    nextAt: Number.isFinite(oldest) ? oldest + HOUR : null,
  };
}
