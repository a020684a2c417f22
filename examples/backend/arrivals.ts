import { z } from "zod";

import type { Database, Systems } from "./systems";
import { userIdFrom } from "./users";

/** Somebody who was seen to have signed in with Clerk. */
export interface Seen {
  readonly clerkUserId: string;
  /** What Clerk keeps as external_id: tells whose row it is as long as that has no link. */
  readonly externalId: unknown;
}

/**
 * Notes who has arrived, which shuts the legacy door for them and ends their legacy sessions (not where
 * `LEGACY_LOGIN=on`). Safe to repeat, in any order; answers who was new. People without a row are passed over.
 */
export async function recordArrivals(
  { database, settings }: Pick<Systems, "settings"> & { readonly database: Database },
  seen: readonly Seen[],
): Promise<string[]> {
  const { rows } = await database.query(
    `with seen as (
       select * from unnest($1::text[], $2::uuid[]) as seen (clerk_user_id, external_id)
     ), people as (
       select u.user_id, u.clerk_user_id from users u join seen on seen.clerk_user_id = u.clerk_user_id
       union
       select u.user_id, u.clerk_user_id from users u join seen on seen.external_id = u.user_id
       where u.clerk_user_id is null
     ), arrived as (
       insert into clerk_arrivals as before (user_id, clerk_user_id)
       select user_id, clerk_user_id from people order by user_id
       on conflict (user_id) do update set clerk_user_id = excluded.clerk_user_id, arrived_at = now()
       where before.clerk_user_id is distinct from excluded.clerk_user_id
       returning user_id
     ), ended as (
       delete from app_sessions where $3::boolean and user_id in (select user_id from arrived)
     )
     select user_id from arrived`,
    [
      seen.map((one) => one.clerkUserId),
      seen.map((one) => userIdFrom(one.externalId)),
      settings.legacyLogin !== "on",
    ],
  );
  return z
    .array(z.object({ user_id: z.string() }))
    .parse(rows)
    .map((row) => row.user_id);
}
