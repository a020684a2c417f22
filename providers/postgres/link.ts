import { randomBytes } from "node:crypto";

import { DatabaseError, escapeIdentifier } from "pg";
import { z } from "zod";

import { type Connection, type Database, writing } from "./database";
import { columnSql, digestSql, linkSql, tableSql, type UsersTable } from "./users-table";

/** Why a row did not take what was written into its link. The first two are the row's own, the others may be the table's. */
export type LinkProblem =
  | { readonly kind: "row-gone" }
  | { readonly kind: "linked-elsewhere"; readonly clerkUserId: string }
  /** No row was updated, though there was one to update. */
  | { readonly kind: "skipped" }
  /** A row was updated, and does not hold what was written. */
  | { readonly kind: "kept" }
  | { readonly kind: "refused"; readonly error: DatabaseError };

/** Links the row, where it has no link yet, and looks whether the link is there. */
export async function setLink(
  connection: Connection,
  table: UsersTable,
  userId: string,
  clerkUserId: string,
): Promise<LinkProblem | undefined> {
  const [id, link] = [columnSql(table.userId), linkSql(table)];
  return answered(async () => {
    const { rowCount } = await connection.query(
      `update ${tableSql(table)} u set ${escapeIdentifier(table.clerkUserId)} = $2 where ${id} = $1 and ${link} is null`,
      [userId, clerkUserId],
    );
    const row = await readLink(connection, table, userId, clerkUserId);
    if (row === undefined) return { kind: "row-gone" };
    if (row.isLinked) return undefined;
    if ((rowCount ?? 0) > 0) return { kind: "kept" };
    return row.link === null ? { kind: "skipped" } : { kind: "linked-elsewhere", clerkUserId: row.link };
  });
}

/** Takes the link out of the row, and looks whether it is gone. A row that is gone, or linked to somebody else, is fine. */
export async function clearLink(
  connection: Connection,
  table: UsersTable,
  userId: string,
  clerkUserId: string,
): Promise<LinkProblem | undefined> {
  const [id, link] = [columnSql(table.userId), linkSql(table)];
  return answered(async () => {
    const { rowCount } = await connection.query(
      `update ${tableSql(table)} u set ${escapeIdentifier(table.clerkUserId)} = null where ${id} = $1 and ${link} = $2`,
      [userId, clerkUserId],
    );
    const row = await readLink(connection, table, userId, clerkUserId);
    if (row?.isLinked !== true) return undefined;
    return { kind: (rowCount ?? 0) > 0 ? "kept" : "skipped" };
  });
}

const rowSchema = z.object({ link: z.string().nullable(), isLinked: z.boolean() });

/** What the row holds now, in a statement of its own: what a trigger has done after the update shows only then. */
export async function readLink(
  connection: Connection,
  table: UsersTable,
  userId: string,
  clerkUserId: string,
): Promise<z.infer<typeof rowSchema> | undefined> {
  const link = linkSql(table);
  const { rows } = await connection.query(
    `select ${link} as link, coalesce(${link} = $2, false) as "isLinked"
     from ${tableSql(table)} u where ${columnSql(table.userId)} = $1`,
    [userId, clerkUserId],
  );
  return z.array(rowSchema).parse(rows)[0];
}

/**
 * Links the row to nobody who exists, in a transaction that is rolled back: whether it would take a link. Constraints
 * and triggers that wait for the end of a transaction have their say, too.
 */
export async function tryLink(
  database: Database,
  table: UsersTable,
  userId: string,
): Promise<LinkProblem | undefined> {
  return writing(
    database,
    async (connection) =>
      (await setLink(connection, table, userId, nobody())) ??
      answered(async () => {
        await connection.query("set constraints all immediate");
        return undefined;
      }),
    () => false,
  );
}

/** In the form of Clerk's ids, of which constraints may be fond. */
function nobody(): string {
  return `user_2${randomBytes(13).toString("hex")}`;
}

/** Not a word about the table: the server is busy, going down, out of something, or two transactions met. */
const passing = /^(08|40|53|57|58|XX)|^(55P03|25006)$/;

/** What the table answers with an error is an answer, too. */
async function answered(work: () => Promise<LinkProblem | undefined>): Promise<LinkProblem | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseError) || passing.test(error.code ?? "XX")) throw error;
    return { kind: "refused", error };
  }
}

/** Rows that have no link and a digest, of which one may be tried. */
export async function someLegacyRows(
  database: Database,
  table: UsersTable,
  butNot: string,
  limit: number,
): Promise<string[]> {
  const userId = `${columnSql(table.userId)}::text`;
  const { rows } = await database.query(
    `select ${userId} as user_id from ${tableSql(table)} u
     where ${linkSql(table)} is null and ${digestSql(table)} is not null
       and ${userId} <> $1
     limit $2`,
    [butNot, limit],
  );
  return z
    .array(z.object({ user_id: z.string() }))
    .parse(rows)
    .map(({ user_id }) => user_id);
}
