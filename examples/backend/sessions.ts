import type { Systems } from "./systems";
import { hashOf, newToken } from "./tokens";
import { type AppUser, parseUser, userColumns } from "./users";

export interface NewSession {
  readonly token: string;
  readonly expiresAt: Date;
}

/**
 * For whoever has just shown the password of `digest`. undefined where the user has another one by now, has arrived or was
 * barred since it was looked at.
 */
export async function openSession(
  { database, settings }: Systems,
  userId: string,
  digest: string | null,
): Promise<NewSession | undefined> {
  const token = newToken();
  const expiresAt = new Date(Date.now() + settings.sessionHours * 3_600_000);
  await database.query("delete from app_sessions where user_id = $1 and expires_at <= now()", [userId]);
  // The lock waits for whoever is changing the password, who then ends this session or has kept it from being opened.
  const { rowCount } = await database.query(
    `insert into app_sessions (token_hash, user_id, expires_at)
     select $1::bytea, locked.user_id, $3::timestamptz
     from (select user_id from users where user_id = $2::uuid and password_hash = $5 for no key update) locked
     where $4::boolean or not exists (select from shut_users where user_id = $2::uuid)`,
    [hashOf(token), userId, expiresAt, settings.legacyLogin === "on", digest],
  );
  return rowCount === 1 ? { token, expiresAt } : undefined;
}

/**
 * Looks at arrivals and bans too: a session that was being opened meanwhile is in the table, and no longer good.
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
       and ($2::boolean or not exists (select from shut_users where user_id = s.user_id))`,
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
