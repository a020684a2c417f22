import type { Systems } from "./systems";
import { hashOf, newToken } from "./tokens";
import { type AppUser, parseUser, userColumns } from "./users";

export const SESSION_COOKIE = "app_session";

export interface NewSession {
  readonly token: string;
  readonly expiresAt: Date;
}

/** undefined where the user has arrived since the password was looked at. */
export async function openSession(systems: Systems, userId: string): Promise<NewSession | undefined> {
  const { database, settings } = systems;
  const token = newToken();
  const expiresAt = new Date(Date.now() + settings.sessionHours * 3_600_000);
  await database.query("delete from app_sessions where user_id = $1 and expires_at <= now()", [userId]);
  const { rowCount } = await database.query(
    `insert into app_sessions (token_hash, user_id, expires_at)
     select $1::bytea, $2::uuid, $3::timestamptz
     where $4::boolean or not exists (select from arrived_users where user_id = $2::uuid)`,
    [hashOf(token), userId, expiresAt, settings.legacyLogin === "on"],
  );
  return rowCount === 1 ? { token, expiresAt } : undefined;
}

/**
 * Looks at arrivals too: a session that was being opened while its user arrived is in the table, and no longer good.
 */
export async function userOfSession(
  { database, settings }: Systems,
  token: string | undefined,
): Promise<AppUser | undefined> {
  if (token === undefined || settings.legacyLogin === "off") return undefined;
  const { rows } = await database.query(
    `select ${userColumns}
     from app_sessions s
     join users u on u.user_id = s.user_id
     where s.token_hash = $1
       and s.expires_at > now()
       and ($2::boolean or not exists (select from arrived_users where user_id = s.user_id))`,
    [hashOf(token), settings.legacyLogin === "on"],
  );
  return parseUser(rows);
}

/** Safe to repeat. */
export async function closeSession({ database }: Systems, token: string): Promise<void> {
  await database.query("delete from app_sessions where token_hash = $1", [hashOf(token)]);
}

/** For the day the legacy login is switched off: switching it on again brings no old session back. */
export async function closeAllSessions({ database }: Systems): Promise<void> {
  await database.query("delete from app_sessions");
}
