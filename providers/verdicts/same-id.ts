import type { UserRow } from "../postgres/legacy-users";
import type { Records } from "../world";

/**
 * The rows by their `user_id`. Of several with the same, the one that leads to the Clerk user whom the ledger knows by it,
 * else the first: so that none of the others ever stands for a user who is held.
 */
export function rowsById({ rows, ledger }: Pick<Records, "rows" | "ledger">): ReadonlyMap<string, UserRow> {
  const byId = new Map<string, UserRow>();
  for (const row of rows) {
    const known = ledger.users.get(row.userId)?.clerkUserId ?? null;
    const isKnown = known !== null && row.clerkUserId === known;
    if (isKnown || !byId.has(row.userId)) byId.set(row.userId, row);
  }
  return byId;
}

/** Every `user_id` that more than one row has. */
export function doubledIds(rows: readonly UserRow[]): ReadonlySet<string> {
  const [seen, doubled] = [new Set<string>(), new Set<string>()];
  for (const { userId } of rows) (seen.has(userId) ? doubled : seen).add(userId);
  return doubled;
}
