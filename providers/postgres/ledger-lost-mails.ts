import { z } from "zod";

import type { Connection } from "./database";
import { ways } from "./ledger";
import type { Owner } from "./ledger-migrations";
import { ledgerTable } from "./ledger-tables";

const lostMailSchema = z
  .object({
    user_id: z.string(),
    number: z.number(),
    way: z.enum(ways),
    at: z.date(),
    outcome: z.enum(["sending", "sent", "rehearsed", "unknown", "failed"]),
    is_taken_back: z.boolean(),
  })
  .transform(({ user_id, is_taken_back, ...mail }) => ({
    ...mail,
    userId: user_id,
    /** Its link was revoked afterwards, or that was begun: by a rollback, or since the user has another address. */
    isTakenBack: is_taken_back,
  }));

export type LostMail = z.infer<typeof lostMailSchema>;

/**
 * The last of each of a user's mails that this migration has sent, or may have, and that `notifications` does not know: that table
 * was restored from before, or emptied. Nothing is lost where `mails` is gone, too.
 */
export async function readLostMails(
  connection: Connection,
  { migrationId }: Pick<Owner, "migrationId">,
): Promise<LostMail[]> {
  const [mails, notifications, events] = [
    await ledgerTable(connection, "mails"),
    await ledgerTable(connection, "notifications"),
    await ledgerTable(connection, "events"),
  ];
  const { rows } = await connection.query(
    `select distinct on (mails.user_id, mails.number) mails.user_id, mails.number, mails.way, mails.at, mails.outcome,
       exists (
         select from ${events} as events
         where events.migration_id = $1 and events.user_id = mails.user_id and events.subject = 'notifications'
           and events.status in ('revoking', 'revoked') and events.at >= mails.at
       ) as is_taken_back
     from ${mails} as mails
     where mails.migration_id = $1 and not exists (
       select from ${notifications} as known
       where known.migration_id = $1 and known.user_id = mails.user_id and known.number = mails.number
     )
     order by mails.user_id, mails.number, mails.mail_id desc`,
    [migrationId],
  );
  return z.array(lostMailSchema).parse(rows);
}
