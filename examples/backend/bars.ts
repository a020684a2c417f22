import { z } from "zod";

import { factsOf, liveUser, type UserFacts } from "./clerk-user";
import { Refusal } from "./errors";
import { type Held, readHeld } from "./migration";
import { type Database, inTransaction, type Systems } from "./systems";
import { isTrickleOpen } from "./trickle-record";
import { lockUser } from "./users";

/** Why Clerk alone decides about a user who has not signed in there yet. */
export type Bar = "banned" | "password" | "deleted";

/** How far the migration's ledger may be behind Clerk. */
const LEDGER_LAG_MS = 4_000;

/**
 * banned: in Clerk. password: it was reset there, or another one was set, by somebody else than the migration and this
 * backend; the legacy one must not live on. A carried password of an unproven address needs a reset in Clerk as well: nobody
 * has decided that.
 */
export function barOf(live: UserFacts, held: Held | undefined): Bar | undefined {
  if (live.banned === true) return "banned";
  const isProven = live.email_addresses.every((address) => address.reserved !== true);
  if (live.requires_password_reset === true && isProven) return "password";
  return held !== undefined && hasForeignPassword(live, held) ? "password" : undefined;
}

function hasForeignPassword(live: UserFacts, held: Held): boolean {
  if (held.origin !== "adopted" && held.passwords === "reset") return live.password_enabled === true;
  return (live.password_last_updated_at ?? 0) > (held.clerk_password_at ?? Infinity);
}

/**
 * Shuts the legacy door for whom Clerk has banned, deleted or given another password, and opens it again where that is
 * over. `told` is what an event says: it may be late, so what Clerk says now is what counts. Safe to repeat, in any order.
 */
export async function reviewBar(systems: Systems, clerkUserId: string, told?: UserFacts): Promise<void> {
  const { database, clerk } = systems;
  const userId = await linkedUser(database, clerkUserId);
  if (userId === undefined) return;
  // A migration sends thousands of events with nothing in them: those do not cost a request each.
  if (told !== undefined && (await barNow(database, userId, clerkUserId, told)) === undefined) {
    if (!(await isBarred(database, userId))) return;
  }
  const user = await liveUser(clerk, clerkUserId);
  const live = user && factsOf(user);
  const bar = await inTransaction(database, async (connection) => {
    // Behind whoever is setting a password for this user just now.
    const row = await lockUser(connection, userId);
    if (row?.clerkUserId !== clerkUserId) return undefined;
    const found = live === undefined ? "deleted" : await barNow(connection, userId, clerkUserId, live);
    await setBar(connection, systems, userId, clerkUserId, found);
    return found;
  });
  const age = Date.now() - (live?.password_last_updated_at ?? 0);
  // It may be the migration's own, which is written into the ledger a moment later: shut now, and looked at again.
  if (bar === "password" && age < LEDGER_LAG_MS) throw new Refusal(409, "Send this event again.");
}

/** What applies by what is known of the user here. A trickle that nobody knows the outcome of is left to the next login. */
export async function barNow(
  database: Database,
  userId: string,
  clerkUserId: string,
  live: UserFacts,
): Promise<Bar | undefined> {
  // In this order: a trickle that ends in between has written into the ledger before it is no longer open.
  const isOpen = await isTrickleOpen(database, userId, clerkUserId);
  return barOf(live, isOpen ? undefined : await readHeld(database, userId, clerkUserId));
}

/** Writes it down, or takes it back, and ends the legacy sessions with it (not where `LEGACY_LOGIN=on`). */
export async function setBar(
  database: Database,
  { settings }: Pick<Systems, "settings">,
  userId: string,
  clerkUserId: string,
  bar: Bar | undefined,
): Promise<void> {
  if (bar === undefined) {
    await database.query("delete from barred_users where user_id = $1", [userId]);
    return;
  }
  await database.query(
    `insert into barred_users (user_id, clerk_user_id, reason) values ($1, $2, $3)
     on conflict (user_id) do update set clerk_user_id = excluded.clerk_user_id, reason = excluded.reason`,
    [userId, clerkUserId, bar],
  );
  if (settings.legacyLogin === "on") return;
  await database.query("delete from app_sessions where user_id = $1", [userId]);
}

async function linkedUser(database: Database, clerkUserId: string): Promise<string | undefined> {
  const { rows } = await database.query("select user_id from users where clerk_user_id = $1", [clerkUserId]);
  return z.array(z.object({ user_id: z.string() })).parse(rows)[0]?.user_id;
}

async function isBarred(database: Database, userId: string): Promise<boolean> {
  const { rowCount } = await database.query("select from barred_users where user_id = $1", [userId]);
  return rowCount === 1;
}
