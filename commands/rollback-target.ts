import { z } from "zod";

import { MigrationError } from "../providers/errors";
import type { Database } from "../providers/postgres/database";
import { isHeld } from "../providers/postgres/ledger";
import { readLedgerVersion } from "../providers/postgres/ledger-steps";
import { readUserAnywhere } from "../providers/postgres/ledger-users";
import { columnSql, tableSql, type UsersTable } from "../providers/postgres/users-table";
import { withDatabase } from "./database";
import { type SelectedStack } from "./selected-stack";
import { settingsOf } from "./settings";
import { urnOfUser, usersInState } from "./state";

/** The resource that `--user` means. Throws where this stack has nobody to roll back by that name. */
export async function rollbackTarget(selected: SelectedStack, userId: string): Promise<string> {
  const { stack } = selected;
  const urn = urnOfUser(selected, userId);
  const { databaseUrl, table } = await settingsOf(selected);
  const { held, whose } = await withDatabase(databaseUrl, async (database) => {
    await readLedgerVersion(database);
    return {
      held: await readUserAnywhere(database, userId, stack),
      whose: await whoseAddress(database, table, userId),
    };
  });
  if (held?.stack === stack && isHeld(held)) return urn;
  // The ledger may be lost, or from yesterday: the state can know somebody whom it does not.
  if ((await usersInState(selected))?.includes(urn) === true) return urn;
  if (whose.length > 0)
    throw notAnId(
      "That is an address",
      `It stands in the row of user_id ${whose.join(", ")}: say --user <user_id>.`,
    );
  if (userId.includes("@"))
    throw notAnId("That is an address, and of no row", "`npm run plan` lists the user_ids.");
  if (held !== undefined && isHeld(held))
    throw notAnId(`User ${userId} belongs to the stack ${held.stack}`, "Name that stack with --stack.");
  if (held !== undefined)
    throw notAnId(
      `User ${userId} is not migrated by ${stack} any more (${held.status.replace("_", " ")})`,
      `There is nothing to roll back; \`npm run history -- ${userId}\` says what happened.`,
    );
  throw notAnId(
    `${stack} has migrated no user ${userId}`,
    "Give the user_id as it stands in the table; `npm run export -- --what migrated` lists them.",
  );
}

function notAnId(reason: string, remedy: string): MigrationError {
  return new MigrationError("rollback-user", `${reason}; nobody is rolled back.`, remedy);
}

const rowsSchema = z.array(z.object({ user_id: z.string() }));

/** The ids of the rows with this address. */
async function whoseAddress(database: Database, table: UsersTable, address: string): Promise<string[]> {
  if (!address.includes("@")) return [];
  const { rows } = await database.query(
    `select ${columnSql(table.userId)}::text as user_id from ${tableSql(table)} u
     where lower(btrim(${columnSql(table.email)}::text)) = lower(btrim($1)) order by 1 limit 5`,
    [address],
  );
  return rowsSchema.parse(rows).map((row) => row.user_id);
}
