import type { Finding } from "../findings";
import type { Relation } from "./catalogue";
import type { TableFacts } from "./catalogue-table";
import { type ColumnRole, finding, listed, namedColumns, run } from "./preflight-findings";
import { columnSql, tableSql, type UsersTable } from "./users-table";

/** The relation that the settings mean; the others are called alike. */
export function chooseRelation(table: UsersTable, alike: readonly Relation[]): Relation | undefined {
  const [first = "", second, ...rest] = table.name.split(".");
  if (rest.length > 0) return undefined;
  return second === undefined
    ? alike.find(({ name, visible }) => name === first && visible)
    : alike.find(({ name, schema }) => schema === first && name === second);
}

export function missingTable(table: UsersTable, alike: readonly Relation[], database: string): Finding {
  const others = alike.map(({ schema, name }) => `${schema}.${name}`);
  return finding(
    "table",
    "problem",
    others.length === 0
      ? `The database ${database} has no table ${table.name}, so nobody can be migrated.`
      : `The database ${database} has no table ${table.name} where it was looked for, but it has ${listed(others)}.`,
    others.length === 0
      ? "Check that DATABASE_URL names the application's database, and the name of the table in the settings."
      : "Name it like that in the settings.",
  );
}

export function judgeTable(table: UsersTable, facts: TableFacts): Finding {
  const where = `${table.name} is a ${facts.kind}`;
  switch (facts.kind) {
    case "table":
      return finding("table", "ok", `${where} in the schema ${facts.schema}.`);
    case "partitioned table":
      return finding("table", "note", `${where}: it is read and linked like any other.`);
    case "view": {
      const link = facts.columns.find(({ name }) => name === table.clerkUserId);
      return link === undefined || link.updatable
        ? finding("table", "note", `${where}: links are written through it${belowOf(facts)}.`)
        : finding(
            "table",
            "problem",
            `${where} in which ${table.clerkUserId} cannot be updated, so nobody can be linked.`,
            "Name the table below it in the settings, or make it a plain selection from one table, which Postgres updates by itself, or give it a trigger `instead of update`.",
          );
    }
    case "materialized view":
      return finding(
        "table",
        "problem",
        `${where}, which is a copy: nobody can be linked in it.`,
        "Name the table that it is made from in the settings.",
      );
    case "foreign table":
      return finding(
        "table",
        "problem",
        `${where}: its rows are in another database, where the link cannot be kept in step with the ledger.`,
        "Name the database that holds the table in DATABASE_URL.",
      );
  }
}

function belowOf({ below }: TableFacts): string {
  return below.length === 0 ? "" : `, to what is below it: ${listed(below.map(({ name }) => name))}`;
}

/** What others call these columns. */
const usualNames: Readonly<Partial<Record<ColumnRole, readonly string[]>>> = {
  userId: ["id", "uid", "uuid", "userid"],
  email: ["email", "mail", "emailaddress"],
  passwordHash: [
    "passwordhash",
    "passwordhashed",
    "hashedpassword",
    "encryptedpassword",
    "passworddigest",
    "password",
  ],
  clerkUserId: ["clerkuserid", "clerkid"],
  fullName: ["name", "fullname", "displayname"],
  createdAt: ["createdat", "created", "createdon", "insertedat", "datejoined"],
};

export function judgeColumns(table: UsersTable, facts: TableFacts): Finding {
  const existing = facts.columns.map(({ name }) => name);
  const missing = namedColumns(table).filter(({ column }) => !existing.includes(column));
  if (missing.length === 0) {
    return finding("columns", "ok", `${table.name} has all ${namedColumns(table).length} columns.`);
  }
  const link = missing.some(({ role }) => role === "clerkUserId");
  const digest = missing.some(({ role }) => role === "passwordHash");
  const add = `alter table ${tableSql(table)} add column ${columnOf(table.clerkUserId)} text unique`;
  const renamed = missing.flatMap(({ role, column }) => {
    const close = facts.columns.find(({ name }) => isClose(role, column, name))?.name;
    return close === undefined ? [] : [`${close} for ${column}`];
  });
  return finding(
    "columns",
    "problem",
    `${table.name} lacks ${missing.length === 1 ? "the column" : `${missing.length} columns:`} ${listed(missing.map(({ column }) => column))}.`,
    [
      link && facts.kind.endsWith("table") ? [`${run(add)}.`] : [],
      renamed.length === 0 ? [] : [`Perhaps it has ${listed(renamed)}: then correct the settings.`],
      missing.length > (link ? 1 : 0) && renamed.length === 0 ? ["Correct the names in the settings."] : [],
      digest && renamed.length === 0
        ? ["Where another table has it, make a view: see docs/settings.md, The digest is in another table."]
        : [],
    ]
      .flat()
      .join(" "),
  );
}

function isClose(role: ColumnRole, wanted: string, found: string): boolean {
  const bare = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  return bare(found) === bare(wanted) || (usualNames[role]?.includes(bare(found)) ?? false);
}

/** The column as statements that change the table spell it. */
export function columnOf(column: string): string {
  return columnSql(column, "").slice(1);
}
