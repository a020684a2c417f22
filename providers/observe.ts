import { canariesIn, canaryProblem } from "./canaries";
import { type Clerk, openClerk } from "./clerk/client";
import { askClerk } from "./clerk/facts";
import { checkInstance } from "./clerk/preflight";
import { readDecisions } from "./decisions";
import { MigrationError } from "./errors";
import { type Finding, finding } from "./findings";
import { forgottenUsers, lostMailsOf, migrationIdInMarks, withForgottenMails } from "./lost-migration";
import { observeMails, readMailTimes } from "./observe-mails";
import { questionsOf } from "./plan";
import { type Connection, type Database, readOnly } from "./postgres/database";
import { readLedger } from "./postgres/ledger";
import { readLostMails } from "./postgres/ledger-lost-mails";
import { linkName, migrationOf, readHolders, readMigrations } from "./postgres/ledger-migrations";
import { readUsers } from "./postgres/legacy-users";
import { checkCondition, checkDatabase } from "./postgres/preflight";
import { checkLinks } from "./postgres/preflight-links";
import { NOBODY, type Settings } from "./settings";
import { retireQuestions } from "./verdicts/retire";
import type { RetireFacts, World } from "./world";

/**
 * Reads both systems, without writing: what is there before a run of this stack (`<project>/<stack>`). Where the ledger knows no
 * migration, its id is the one that marks in Clerk name; empty where there is none either.
 */
export async function observeStack(
  settings: Settings,
  database: Database,
  { stack }: { readonly stack: string },
  clerk = clerkOf(settings),
  now = Date.now(),
): Promise<World> {
  const instance = await checkInstance(clerk, settings.clerkIssuerUrl);
  const decisions = readDecisions(settings.decisions);
  const { findings, times, lost, ...records } = await readOnly(database, async (connection) => {
    const checked = await checkDatabase(
      connection,
      settings.table,
      settings.databaseUrl,
      settings.retirePasswords !== "off",
    );
    refuseOtherTable(checked);
    checked.push(...(await checkLinks(connection, settings.table)));
    if (settings.where !== "") checked.push(await condition(connection, settings));
    const link = await linkName(connection, settings.table);
    const known = migrationOf(await readMigrations(connection), link, instance.id);
    const former = settings.takeOver === NOBODY ? undefined : settings.takeOver;
    const owner = { stack, clerkInstanceId: instance.id, migrationId: known?.migrationId ?? "" };
    return {
      ...{ ...owner, link, decisions, now, findings: checked },
      stacks: new Set([...(known?.stacks ?? []), stack, ...(former === undefined ? [] : [former])]),
      holders: await readHolders(connection),
      rows: await readUsers(connection, settings.table, settings.where),
      ledger: await readLedger(connection, owner, former),
      times: await readMailTimes(connection, instance.id, now),
      lost: await readLostMails(connection, owner),
    };
  });
  const isWatched = [...records.ledger.users.values()].some((user) => user.status === "linked");
  const facts = await askClerk(clerk, questionsOf(records, settings), {
    issuerUrl: settings.clerkIssuerUrl,
    instance,
    userLimit: settings.clerkUserLimit,
  });
  const migrationId = records.migrationId || migrationIdInMarks(records.rows, facts);
  const owner = { migrationId, stacks: records.stacks };
  const forgottenIds = forgottenUsers(records, facts, owner);
  const lostMails = lostMailsOf(lost, records.ledger, forgottenIds);
  const recent = await clerk.recentInvitations();
  const { ledger, forgotten } = withForgottenMails(
    records,
    forgottenIds,
    lostMails,
    forgottenIds.size + lostMails.length === 0
      ? recent.filter(({ status }) => status !== "revoked")
      : await clerk.allInvitations(),
    owner,
    settings.notify === "none" ? undefined : settings.notify,
  );
  const mails = await observeMails(clerk, instance, times, settings, { ...records, ...owner }, recent);
  const arrivals = isWatched ? await clerk.arrivals() : new Map<string, number>();
  const retire = await observeRetirable(clerk, retireQuestions(records, arrivals, settings));
  return {
    ...records,
    migrationId,
    ledger,
    findings: [...findings, ...mails.findings, ...canaryFindings(retire)],
    clerk: facts,
    forgottenMails: forgotten,
    mails: mails.facts,
    arrivals,
    retire,
  };
}

/** Asked again right before a digest goes: a ban or a lost canary must not be missed. */
async function observeRetirable(clerk: Clerk, clerkUserIds: readonly string[]): Promise<RetireFacts> {
  if (clerkUserIds.length === 0) return { banned: new Map(), canaryProblem: "" };
  const live = await clerk.usersBy("user_id", clerkUserIds);
  return {
    banned: new Map(live.map(({ id, banned }) => [id, banned])),
    canaryProblem: await canaryProblem(clerk, canariesIn(process.env)),
  };
}

function canaryFindings({ canaryProblem: problem }: RetireFacts): Finding[] {
  return problem === ""
    ? []
    : [
        finding(
          "retire/canary",
          "problem",
          `${problem}, so no digest is retired.`,
          "Correct CANARY_EMAIL and CANARY_PASSWORD. If they are right, carried passwords do not work: find out why.",
        ),
      ];
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
