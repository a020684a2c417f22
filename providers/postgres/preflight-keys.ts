import type { Finding } from "../findings";
import type { Constraint, TableFacts, UniqueIndex } from "./catalogue-table";
import { finding, listed, quotedList, run } from "./preflight-findings";
import { tableSql, type UsersTable } from "./users-table";

/** The column that names one row, always the same. */
export function judgeUserId(table: UsersTable, facts: TableFacts): Finding | undefined {
  const column = facts.columns.find(({ name }) => name === table.userId);
  if (column === undefined) return undefined;
  const sql = quotedList([table.userId]);
  if (!facts.uniqueIndexes.some((index) => covers(index, table.userId))) {
    return facts.kind === "table" ? withoutKey(table, facts) : withUnseenKey(table, facts);
  }
  return column.notNull
    ? finding("user-id", "ok", `${table.userId} names one row.`)
    : finding(
        "user-id",
        "note",
        `${table.userId} names one row, but may be null. A row without it cannot be migrated.`,
        `${run(`alter table ${tableSql(table)} alter column ${sql} set not null`)}.`,
      );
}

function withoutKey(table: UsersTable, facts: TableFacts): Finding {
  const key = facts.uniqueIndexes.find(({ primary }) => primary)?.columns ?? [];
  const primary =
    key.length === 0 ? "" : ` The primary key is ${listed(key.map((name) => name ?? "an expression"))}.`;
  const other = key.length === 1 ? ", or name the primary key in the settings" : "";
  const parts = key.filter((name) => name !== null);
  const isPart = parts.length > 1 && parts.length === key.length && parts.includes(table.userId);
  return finding(
    "user-id",
    "problem",
    `No unique index covers ${table.userId}, so two rows could be one user.${primary}`,
    isPart ? joinedKey(table, parts) : `${createIndex(table, table.userId, facts)}${other}.`,
  );
}

/** Where a row is only told by several columns together, no index on one of them can be built. */
function joinedKey(table: UsersTable, parts: readonly string[]): string {
  const joined = parts.map((name) => `${quotedList([name])}::text`).join(" || '-' || ");
  const names = table.name.split(".");
  const view = [...names.slice(0, -1), `${names.at(-1) ?? ""}_by_key`];
  const viewSql = view.map((part) => quotedList([part])).join(".");
  const statements = [
    `create view ${viewSql} as select ${joined} as user_key, u.* from ${tableSql(table)} u`,
    `create unique index concurrently on ${tableSql(table)} ((${joined}))`,
  ];
  return `Migrate a view whose key is joined. ${run(...statements)}, and set usersTable to ${view.join(".")} and userIdColumn to user_key.`;
}

/** A view has no index, and one of a partitioned table has to contain the partition key. */
function withUnseenKey(table: UsersTable, { kind }: TableFacts): Finding {
  const sql = quotedList([table.userId]);
  return finding(
    "user-id",
    "unknown",
    `No unique index says that ${table.userId} names one row, for ${table.name} is a ${kind}.`,
    `Make sure of it: \`select ${sql} from ${tableSql(table)} group by 1 having count(*) > 1\` must find nothing.`,
  );
}

/** The column that is written: one finding for each thing to speak of. */
export function judgeLinkColumn(table: UsersTable, facts: TableFacts): Finding[] {
  const column = facts.columns.find(({ name }) => name === table.clerkUserId);
  if (column === undefined) return [];
  const constraints = [facts, ...facts.below].flatMap((relation) =>
    relation.constraints.filter(({ columns }) => columns.includes(column.name)),
  );
  const findings = [
    column.generated ? generatedLink(table) : [],
    column.notNull ? requiredLink(table) : [],
    constraints.map((constraint) => constrainedLink(table, constraint)),
    facts.kind === "view" ? linkBelow(table, facts) : [],
    [facts, ...facts.below].some(({ uniqueIndexes }) =>
      uniqueIndexes.some((index) => covers(index, column.name)),
    )
      ? []
      : repeatableLink(table, facts),
  ].flat();
  return findings.length > 0
    ? findings
    : [finding("link-column", "ok", `${column.name} can be null, and takes each Clerk user once.`)];
}

/** What a view calls its link may have another name in the table below it, and then nothing there was looked at. */
function linkBelow(table: UsersTable, { below }: TableFacts): Finding[] {
  if (below.some(({ columns }) => columns.some(({ name }) => name === table.clerkUserId))) return [];
  return [
    finding(
      "link-column",
      "unknown",
      `${table.name} is a view, and no table below it has a column ${table.clerkUserId}: whether constraints there refuse a link was not looked at.`,
      `Make sure that the column below can be null and takes ids such as user_2abcdefghijklmnopqrstuvwxyzA.`,
    ),
  ];
}

function generatedLink(table: UsersTable): Finding {
  const [alter, column] = [`alter table ${tableSql(table)}`, quotedList([table.clerkUserId])];
  return finding(
    "link-column",
    "problem",
    `${table.clerkUserId} is a generated column, so nobody can be linked.`,
    `${run(`${alter} drop column ${column}`, `${alter} add column ${column} text unique`)}, or name another column in the settings.`,
  );
}

function requiredLink(table: UsersTable): Finding {
  return finding(
    "link-column",
    "problem",
    `${table.clerkUserId} may not be null, but a row without a link is one where it is null.`,
    `${run(`alter table ${tableSql(table)} alter column ${quotedList([table.clerkUserId])} drop not null`)}, and set it to null where there is no Clerk user.`,
  );
}

function constrainedLink(table: UsersTable, { kind, name, definition }: Constraint): Finding {
  return kind === "foreign key"
    ? finding(
        "link-column",
        "problem",
        `${table.clerkUserId} refers to another table (${name}: ${definition}), which refuses every link to a new Clerk user.`,
        `${run(`alter table ${tableSql(table)} drop constraint ${quotedList([name])}`)}, or name another column in the settings.`,
      )
    : finding(
        "link-column",
        "note",
        `A constraint looks at ${table.clerkUserId} (${name}: ${definition}).`,
        "Make sure that it allows null and ids such as user_2abcdefghijklmnopqrstuvwxyzA.",
      );
}

function repeatableLink(table: UsersTable, facts: TableFacts): Finding {
  return finding(
    "link-column",
    "note",
    `No unique index covers ${table.clerkUserId}: this program links no two rows to one Clerk user, but others could.`,
    facts.kind === "table" ? `${createIndex(table, table.clerkUserId, facts)}.` : "",
  );
}

/** An index that leaves out nulls does as well: nulls are never equal. */
function covers(index: UniqueIndex, column: string): boolean {
  const wholeTable =
    index.predicate === null || index.predicate.replaceAll('"', "") === `(${column} IS NOT NULL)`;
  return index.valid && wholeTable && index.columns.length === 1 && index.columns[0] === column;
}

function createIndex(table: UsersTable, column: string, { uniqueIndexes, schema }: TableFacts): string {
  // What a `create unique index concurrently` leaves behind when it meets duplicates.
  const broken = uniqueIndexes.find(({ valid, columns }) => !valid && columns.includes(column));
  const create = `create unique index concurrently on ${tableSql(table)} (${quotedList([column])})`;
  if (broken === undefined) return run(create);
  const drop = `drop index ${quotedList([schema])}.${quotedList([broken.name])}`;
  return `${run(drop, create)} (the index ${broken.name} is there, but could not be built: look for duplicates first)`;
}
