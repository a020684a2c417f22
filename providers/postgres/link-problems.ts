import { type DatabaseError, escapeIdentifier } from "pg";
import { z } from "zod";

import { MigrationError, Refusal } from "../errors";
import { readRelations } from "./catalogue";
import { readTable, type TableFacts } from "./catalogue-table";
import type { Connection, Database } from "./database";
import { type LinkProblem, tryLink } from "./link";
import { firingTriggers } from "./preflight-access";
import { listed, quotedList, run } from "./preflight-findings";
import { chooseRelation } from "./preflight-table";
import { saidBy } from "./said";
import { tableSql, type UsersTable } from "./users-table";

type TableProblem = Exclude<LinkProblem, { kind: "row-gone" | "linked-elsewhere" }>;

/** Whether the table may be the cause, and not this one row. */
export function isTables(problem: LinkProblem | undefined): problem is TableProblem {
  if (problem === undefined || problem.kind === "row-gone" || problem.kind === "linked-elsewhere")
    return false;
  // Somebody else has the same link: that is about these two rows.
  return problem.kind !== "refused" || problem.error.code !== UNIQUE;
}

const UNIQUE = "23505";
const CHECK = "23514";
const PRIVILEGE = "42501";
const UNKNOWN_SETTING = "42704";

/** A table that takes none of these links takes none: why. undefined where one row takes it, or no row is left to try. */
export async function tableProblem(
  database: Database,
  table: UsersTable,
  userIds: readonly string[],
): Promise<Refusal | undefined> {
  const refusals: { readonly userId: string; readonly problem: TableProblem }[] = [];
  for (const userId of userIds) {
    const problem = await tryLink(database, table, userId);
    if (problem === undefined) return undefined;
    if (isTables(problem)) refusals.push({ userId, problem });
  }
  const [first] = refusals;
  return first === undefined ? undefined : explainLink(database, table, first.userId, first.problem);
}

/** Why the row did not take the link, and what to do. SQLSTATE and catalogue decide, never Postgres's words. */
export async function explainLink(
  database: Database,
  table: UsersTable,
  userId: string,
  problem: TableProblem,
): Promise<Refusal> {
  const [code, what, remedy] = await causeOf(database, table, problem);
  const row = `The row of user ${userId}`;
  switch (problem.kind) {
    case "skipped":
      return new Refusal(code, `${row} does not take the link, though it is free: ${what}.`, remedy);
    case "kept":
      return new Refusal(code, `${row} does not keep the link that was written: ${what}.`, remedy);
    case "refused":
      return new Refusal(code, `${row} does not take the link: ${what}.`, remedy);
  }
}

/** The same where a link was to be taken out again. */
export async function explainUnlink(
  database: Database,
  table: UsersTable,
  userId: string,
  problem: TableProblem,
): Promise<MigrationError> {
  const [code, what, remedy] = await causeOf(database, table, problem);
  return new MigrationError(
    `un${code}`,
    `The row of user ${userId} does not let go of its link, so nothing of it was rolled back: ${what}.`,
    remedy,
  );
}

type Cause = readonly [code: string, what: string, remedy: string];

async function causeOf(database: Database, table: UsersTable, problem: TableProblem): Promise<Cause> {
  const facts = await readFacts(database, table);
  const link = table.clerkUserId;
  const firing = facts === undefined ? [] : firingTriggers(table, facts).map(({ name }) => name);
  const named = [...firing, ...(await readRules(database, facts?.oid))];
  const names = named.length === 0 ? "" : ` (${listed(named)})`;
  const letPass = `Let an update of ${link} alone pass${names === "" ? "" : ` ${listed(named)}`}, then run the command again.`;
  if (problem.kind === "refused") return refusedBy(database, table, problem.error, facts, firing);
  if (problem.kind === "kept")
    return ["link-kept", `a trigger or rule may put something else into ${link}${names}`, letPass];
  if (named.length === 0 && facts?.rowSecurity === true)
    return ["link-policy", "row-level security may hide it from the update", await bypass(database)];
  return ["link-skipped", `a trigger or rule may skip the update${names}`, letPass];
}

async function refusedBy(
  database: Database,
  table: UsersTable,
  error: DatabaseError,
  facts: TableFacts | undefined,
  firing: readonly string[],
): Promise<Cause> {
  const said = saidBy(error);
  const alter = `alter table ${tableSql(table)}`;
  const raised = await triggersIn(database, error.where ?? "");
  if (raised.length > 0) {
    const [first] = raised;
    const setting = missingSetting(error);
    return [
      "link-trigger",
      `the trigger ${listed(raised.map(({ trigger, on }) => `${trigger} of ${on}`))} failed (${said})`,
      setting === undefined
        ? `Let it accept the update of ${table.clerkUserId}, or disable it while the migration runs: \`alter table ${first?.on ?? tableSql(table)} disable trigger ${quotedList([first?.trigger ?? ""])}\`.`
        : `Give it what it reads, e.g. \`alter role ${await role(database)} set ${setting} = '…'\` with a value that it takes, and run the command again.`,
    ];
  }
  const constraint = facts?.constraints.find(({ name }) => name === error.constraint);
  const named = error.constraint ?? "unknown";
  if (error.code === CHECK)
    return [
      "link-check",
      `the constraint ${named} forbids it${constraint === undefined ? "" : ` (${constraint.definition})`}`,
      `Let it allow a link beside what the row holds, as long as both logins exist: ${run(`${alter} drop constraint ${quotedList([named])}`)}, and add it anew without that condition.`,
    ];
  if (error.code === UNIQUE)
    return [
      "link-unique",
      `another row has the same link, and ${named} allows it once`,
      "Find out which row is the right one, and clear the other.",
    ];
  if (error.code === PRIVILEGE)
    // Which of Postgres's functions refused is the same in every language.
    return error.routine === "ExecWithCheckOptions"
      ? ["link-policy", `a policy of row-level security refuses it (${said})`, await bypass(database)]
      : [
          "link-privilege",
          `the database user lacks a privilege (${said})`,
          `${run(`grant update (${quotedList([table.clerkUserId])}) on ${tableSql(table)} to ${await role(database)}`)}, or grant what the message names.`,
        ];
  const triggers = firing.length === 0 ? "" : ` Look at ${listed(firing)} first.`;
  return [
    "link-refused",
    `Postgres refused it (${said})`,
    `Mend that in ${table.name}, and run the command again.${triggers}`,
  ];
}

/** The one that a function has asked for. Of another routine the same SQLSTATE may be a trigger's own, with any words. */
function missingSetting({ code, routine, message }: DatabaseError): string | undefined {
  if (code !== UNKNOWN_SETTING || routine === undefined || !/option/i.test(routine)) return undefined;
  return /[a-z_]\w*\.[a-z_]\w*/i.exec(message)?.[0];
}

async function readFacts(database: Database, table: UsersTable): Promise<TableFacts | undefined> {
  const alike = await readRelations(database, table.name.split(".").at(-1) ?? "");
  const relation = chooseRelation(table, alike);
  return relation === undefined ? undefined : readTable(database, relation);
}

async function readRules(connection: Connection, oid: string | undefined): Promise<string[]> {
  if (oid === undefined) return [];
  const { rows } = await connection.query(
    // 2 is update; the rule that makes a view a view is one of select.
    "select rulename as name from pg_rewrite where ev_class = $1::oid and ev_type = '2' order by 1",
    [oid],
  );
  return z
    .array(z.object({ name: z.string() }))
    .parse(rows)
    .map(({ name }) => name);
}

const triggerSchema = z.object({ trigger: z.string(), on: z.string() });

/** The triggers whose functions were running, of whatever table: the error's context names the functions. */
async function triggersIn(connection: Connection, context: string) {
  if (context === "") return [];
  const { rows } = await connection.query(
    `select distinct t.tgname as trigger, t.tgrelid::regclass::text as "on"
     from pg_trigger t join pg_proc f on f.oid = t.tgfoid
     where not t.tgisinternal and $1 ~ ('\\m' || regexp_replace(f.proname, '(\\W)', '\\\\\\1', 'g') || '\\(\\)')
     order by 1, 2`,
    [context],
  );
  return z.array(triggerSchema).parse(rows);
}

async function role(connection: Connection): Promise<string> {
  const { rows } = await connection.query("select current_user::text as name");
  return escapeIdentifier(z.array(z.object({ name: z.string() })).parse(rows)[0]?.name ?? "");
}

async function bypass(connection: Connection): Promise<string> {
  return `${run(`alter role ${await role(connection)} bypassrls`)} as a superuser, or connect as a role to which row-level security does not apply.`;
}
