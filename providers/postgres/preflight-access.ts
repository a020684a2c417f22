import { escapeIdentifier } from "pg";

import type { Finding } from "../findings";
import type { Policy, TableFacts, Trigger } from "./catalogue-table";
import { finding, listed, namedColumns, quotedList, run } from "./preflight-findings";
import { tableSql, type UsersTable } from "./users-table";

export function judgeSelect(table: UsersTable, facts: TableFacts, user: string): Finding {
  const role = escapeIdentifier(user);
  const named = namedColumns(table).map(({ column }) => column);
  const columns = facts.columns.filter(({ name }) => named.includes(name));
  const hidden = columns.filter(({ maySelect }) => !maySelect).map(({ name }) => name);
  const whole = hidden.length === columns.length ? "" : ` (${quotedList(hidden)})`;
  const grants = [
    facts.usable ? [] : [`grant usage on schema ${escapeIdentifier(facts.schema)} to ${role}`],
    hidden.length === 0 ? [] : [`grant select${whole} on ${tableSql(table)} to ${role}`],
  ].flat();
  if (grants.length === 0) return finding("select", "ok", `${user} may read ${table.name}.`);
  return finding(
    "select",
    "problem",
    facts.usable
      ? `${user} may not read ${whole === "" ? table.name : `${listed(hidden)} of ${table.name}`}.`
      : `${user} may not use the schema ${facts.schema}, in which ${table.name} is.`,
    `${run(...grants)}.`,
  );
}

export function judgeUpdate(table: UsersTable, { columns }: TableFacts, user: string): Finding | undefined {
  const link = columns.find(({ name }) => name === table.clerkUserId);
  if (link === undefined) return undefined;
  if (link.mayUpdate) return finding("update", "ok", `${user} may write ${link.name} of ${table.name}.`);
  return finding(
    "update",
    "problem",
    `${user} may not write ${link.name} of ${table.name}: a preview works, but nobody can be linked.`,
    `${run(`grant update (${quotedList([link.name])}) on ${tableSql(table)} to ${escapeIdentifier(user)}`)}.`,
  );
}

/** Of a stack that takes digests out of the table. */
export function judgeRetire(table: UsersTable, { columns }: TableFacts, user: string): Finding | undefined {
  const hash = columns.find(({ name }) => name === table.passwordHash);
  if (hash === undefined) return undefined;
  const column = escapeIdentifier(hash.name);
  if (hash.notNull)
    return finding(
      "retire",
      "problem",
      `${hash.name} of ${table.name} cannot be null, so no digest can be retired.`,
      `${run(`alter table ${tableSql(table)} alter column ${column} drop not null`)}, once the application copes with it.`,
    );
  if (hash.mayUpdate) return finding("retire", "ok", `${user} may empty ${hash.name} of ${table.name}.`);
  return finding(
    "retire",
    "problem",
    `${user} may not write ${hash.name} of ${table.name}, so no digest can be retired.`,
    `${run(`grant update (${column}) on ${tableSql(table)} to ${escapeIdentifier(user)}`)}.`,
  );
}

export function judgeRowSecurity(
  table: UsersTable,
  { kind, rowSecurity, policies, below }: TableFacts,
  user: string,
): Finding {
  const guarded = below.filter((relation) => relation.rowSecurity).map(({ name }) => name);
  if (!rowSecurity && guarded.length > 0)
    return finding(
      "row-security",
      "unknown",
      `Row-level security is on for ${listed(guarded)}, below the view ${table.name}: it applies to the view's owner, or to ${user}, so rows may be hidden. A hidden row is not migrated, and one that was migrated looks deleted.`,
      `Compare \`select count(*) from ${tableSql(table)}\` as ${user} with the same as a superuser.`,
    );
  if (!rowSecurity && kind === "view" && below.length === 0)
    return finding(
      "row-security",
      "unknown",
      `${table.name} is a view over no table that could be found, so rows may be hidden from ${user}.`,
    );
  if (!rowSecurity) return finding("row-security", "ok", `No row of ${table.name} is hidden from ${user}.`);
  const remedy = `${run(`alter role ${escapeIdentifier(user)} bypassrls`)} as a superuser, or connect as a role to which row-level security does not apply.`;
  const closed = (["select", "update"] as const).filter(
    (command) => !policies.some((one) => opens(one, command)),
  );
  if (closed.length > 0) {
    return finding(
      "row-security",
      "problem",
      `Row-level security hides every row of ${table.name} from ${user}: no policy allows ${closed.join(" or ")}.`,
      remedy,
    );
  }
  return finding(
    "row-security",
    "unknown",
    `Row-level security applies to ${user}, so rows of ${table.name} may be hidden: ${listed(policies.map(({ name }) => name))}. A hidden row is not migrated, and one that was migrated looks deleted.`,
    remedy,
  );
}

function opens({ command, permissive }: Policy, wanted: Policy["command"]): boolean {
  return permissive && (command === wanted || command === "all");
}

/** They run in the transaction that links: those of the table, and of the tables below a view. */
export function firingTriggers(table: UsersTable, facts: TableFacts): Trigger[] {
  const own = facts.updateTriggers.filter(
    ({ columns }) => columns.length === 0 || columns.includes(table.clerkUserId),
  );
  // What the link is called below is not known, so that a list of columns tells nothing.
  const below = facts.below.flatMap(({ name, updateTriggers }) =>
    updateTriggers.map((trigger) => ({ ...trigger, function: `${trigger.function}, on ${name}` })),
  );
  return [...own, ...below];
}

export function judgeTriggers(table: UsersTable, facts: TableFacts): Finding {
  const unseen = unseenBelow(facts);
  const firing = firingTriggers(table, facts);
  if (firing.length === 0 && unseen !== undefined)
    return finding(
      "triggers",
      "unknown",
      `${table.name} is a view ${unseen}, so triggers that run when a row is linked may have been missed.`,
      "Look at the table that the link is written to, or migrate one user first.",
    );
  if (firing.length === 0)
    return finding("triggers", "ok", `No trigger runs when a row of ${table.name} is linked.`);
  const names = firing.map((trigger) => `${trigger.name} (${trigger.function})`);
  return finding(
    "triggers",
    "note",
    `${firing.length === 1 ? "A trigger runs" : `${firing.length.toString()} triggers run`} once for each user who is linked, and once more at a rollback: ${listed(names)}.`,
    "Make sure that it may: one that fails stops the link, and one that writes other columns changes them.",
  );
}

/** Why not everything below a view could be looked at; undefined where it could. */
function unseenBelow({ kind, below }: TableFacts): string | undefined {
  if (kind !== "view") return undefined;
  if (below.length === 0) return "over no table that could be found";
  const other = below.find(
    (relation) => !relation.kind.endsWith("table") || relation.kind === "foreign table",
  );
  return other === undefined ? undefined : `over ${other.name}, a ${other.kind}`;
}
