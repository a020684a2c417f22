import { escapeIdentifier } from "pg";
import { z } from "zod";

import { MigrationError } from "../errors";
import { type Connection, type Database, writing } from "./database";
import { type Failure, type LedgerRetired, retiredSchema } from "./ledger";
import type { Owner } from "./ledger-migrations";
import { ledgerTable } from "./ledger-tables";
import type { Scope } from "./ledger-users";
import { columnSql, digestSql, linkSql, tableSql, type UsersTable } from "./users-table";

const sealedSchema = z.object({ sealed: z.instanceof(Buffer).nullable() });

/** undefined where there is none. */
export async function readRetired(
  connection: Connection,
  { migrationId }: Scope,
  userId: string,
): Promise<LedgerRetired | undefined> {
  const { rows } = await connection.query(
    "select * from clerk_migration.retired_passwords where migration_id = $1 and user_id = $2",
    [migrationId, userId],
  );
  return z.array(retiredSchema).parse(rows)[0];
}

/** The sealed digest, which is read only where it is opened. */
export async function readSealed(
  connection: Connection,
  { migrationId }: Scope,
  userId: string,
): Promise<Buffer | null> {
  const { rows } = await connection.query(
    "select sealed from clerk_migration.retired_passwords where migration_id = $1 and user_id = $2",
    [migrationId, userId],
  );
  return z.array(sealedSchema).parse(rows)[0]?.sealed ?? null;
}

export interface Retirement {
  readonly userId: string;
  /** The link that the row must have. */
  readonly clerkUserId: string;
  /** Compared with what the row holds at that moment. */
  readonly digest: string;
  readonly sealed: Buffer;
  readonly keyId: string;
  readonly digestFingerprint: string;
  readonly attempt: number;
}

/** Seals and empties the column in one transaction. Throws, and changes nothing, where the row is another by now. */
export async function retireDigest(
  database: Database,
  table: UsersTable,
  owner: Owner,
  retirement: Retirement,
): Promise<void> {
  const { userId, clerkUserId, digest, sealed, keyId, digestFingerprint, attempt } = retirement;
  const hash = escapeIdentifier(table.passwordHash);
  await writing(database, async (connection) => {
    await connection.query(
      `insert into clerk_migration.retired_passwords
         (user_id, stack, clerk_instance_id, status, key_id, sealed, digest_fingerprint, attempt, retired_at, migration_id)
       values ($1, $2, $3, 'retired', $4, $5, $6, $7, now(), $8)
       on conflict (migration_id, user_id) do update set
         stack = excluded.stack, status = 'retired',
         key_id = excluded.key_id, sealed = excluded.sealed, digest_fingerprint = excluded.digest_fingerprint,
         attempt = excluded.attempt, retired_at = now(), updated_at = now(),
         failure_code = null, failure_reason = null, failure_remedy = null`,
      [
        userId,
        owner.stack,
        owner.clerkInstanceId,
        keyId,
        sealed,
        digestFingerprint,
        attempt,
        owner.migrationId,
      ],
    );
    const meant = `${columnSql(table.userId)} = $1 and ${linkSql(table)} = $2`;
    const held = `${meant} and ${digestSql(table)} = $3`;
    const isThere = async () =>
      (
        await connection.query(`select 1 from ${tableSql(table)} u where ${held}`, [
          userId,
          clerkUserId,
          digest,
        ])
      ).rows.length > 0;
    const wasThere = await isThere();
    await connection.query(`update ${tableSql(table)} u set ${hash} = null where ${held}`, [
      userId,
      clerkUserId,
      digest,
    ]);
    if (!wasThere)
      throw new MigrationError(
        "row-changed",
        `User ${userId}: digest or link in the row changed at this very moment, so nothing was retired.`,
        "The next `up` looks at it again.",
      );
    if (await isThere()) throw notTaken(table, userId, "keeps its digest, so nothing was retired");
  });
}

/** What is not there after the statement is not recorded as done. */
function notTaken(table: UsersTable, userId: string, what: string): MigrationError {
  return new MigrationError(
    "digest-kept",
    `The row of user ${userId} ${what}: a trigger, a rule or a policy may stop the update.`,
    `Let an update of ${table.passwordHash} alone pass, and run the command again.`,
  );
}

/**
 * Puts the digest back, in one transaction with the record of it. A column that has a newer digest keeps it. Throws
 * where the row is linked to somebody else.
 */
export async function restoreDigest(
  database: Database,
  table: UsersTable,
  { migrationId }: Scope,
  {
    userId,
    clerkUserId,
    digest,
  }: { readonly userId: string; readonly clerkUserId: string | null; readonly digest: string },
): Promise<void> {
  const hash = escapeIdentifier(table.passwordHash);
  await writing(database, async (connection) => {
    const { rows } = await connection.query(
      `select ${linkSql(table)} as link, ${digestSql(table)} is null as "isEmpty"
       from ${tableSql(table)} u where ${columnSql(table.userId)} = $1 for update`,
      [userId],
    );
    const row = z.array(z.object({ link: z.string().nullable(), isEmpty: z.boolean() })).parse(rows)[0];
    if (row?.link != null && row.link !== clerkUserId)
      throw new MigrationError(
        "relinked",
        `User ${userId}: the row is linked to ${row.link} by now, so the digest stays sealed.`,
        "Find out who has changed the link. Set it back, and run destroy again.",
      );
    await connection.query(
      `update ${tableSql(table)} u set ${hash} = $2 where ${columnSql(table.userId)} = $1 and ${digestSql(table)} is null`,
      [userId, digest],
    );
    const { rows: after } = await connection.query(
      `select 1 from ${tableSql(table)} u where ${columnSql(table.userId)} = $1 and ${digestSql(table)} = $2`,
      [userId, digest],
    );
    if (row?.isEmpty === true && after.length === 0)
      throw notTaken(table, userId, "does not take its digest back, which stays sealed");
    await connection.query(
      `update clerk_migration.retired_passwords set
         status = 'restored', sealed = null, key_id = null, attempt = attempt + 1, updated_at = now()
       where migration_id = $1 and user_id = $2`,
      [migrationId, userId],
    );
  });
}

/** Nothing has been retired; the next run tries again. */
export async function recordNotRetired(
  database: Database,
  owner: Owner,
  userId: string,
  { code, reason, remedy }: Failure,
): Promise<void> {
  await database.query(
    `insert into clerk_migration.retired_passwords as ledger
       (user_id, stack, clerk_instance_id, status, failure_code, failure_reason, failure_remedy, migration_id)
     values ($1, $2, $3, 'refused', $4, $5, $6, $7)
     on conflict (migration_id, user_id) do update set
       status = 'refused', attempt = ledger.attempt + 1, failure_code = excluded.failure_code,
       failure_reason = excluded.failure_reason, failure_remedy = excluded.failure_remedy, updated_at = now()
     where ledger.status in ('refused', 'restored')`,
    [userId, owner.stack, owner.clerkInstanceId, code, reason, remedy, owner.migrationId],
  );
}

/** The users of this stack whose sealed digests are that old. */
export async function purgeable(connection: Connection, stack: string, before: Date): Promise<string[]> {
  const { rows } = await connection.query(
    `select user_id from ${await ledgerTable(connection, "retired_passwords")} as retired_passwords
     where stack = $1 and status = 'retired' and retired_at < $2 order by user_id`,
    [stack, before],
  );
  return z
    .array(z.object({ user_id: z.string() }))
    .parse(rows)
    .map(({ user_id }) => user_id);
}

/** Deletes those sealed digests for good. Answers how many there were. */
export async function purgeDigests(database: Database, stack: string, before: Date): Promise<number> {
  const { rowCount } = await database.query(
    `update clerk_migration.retired_passwords set status = 'purged', sealed = null, updated_at = now()
     where stack = $1 and status = 'retired' and retired_at < $2`,
    [stack, before],
  );
  return rowCount ?? 0;
}

const REKEYED_AT_ONCE = 1_000;

/**
 * Seals everything of this stack anew that the key of this id has sealed, in one transaction. Answers how many, and how many were sealed by
 * neither of the two.
 */
export async function resealDigests(
  database: Database,
  stack: string,
  [from, to]: readonly [from: string, to: string],
  reseal: (userId: string, sealed: Buffer) => Buffer,
): Promise<{ readonly resealed: number; readonly others: number }> {
  const schema = z.array(
    z.object({ migration_id: z.string(), user_id: z.string(), sealed: z.instanceof(Buffer) }),
  );
  return writing(database, async (connection) => {
    let resealed = 0;
    for (;;) {
      const page = await connection.query(
        `select migration_id, user_id, sealed from clerk_migration.retired_passwords
         where stack = $1 and key_id = $2 and sealed is not null order by user_id limit $3 for update`,
        [stack, from, REKEYED_AT_ONCE],
      );
      const rows = schema.parse(page.rows);
      if (rows.length === 0) break;
      await connection.query(
        `update clerk_migration.retired_passwords as ledger set
           key_id = $1, sealed = fresh.sealed, updated_at = now()
         from unnest($2::text[], $3::text[], $4::bytea[]) as fresh (migration_id, user_id, sealed)
         where ledger.migration_id = fresh.migration_id and ledger.user_id = fresh.user_id`,
        [
          to,
          rows.map((row) => row.migration_id),
          rows.map((row) => row.user_id),
          rows.map((row) => reseal(row.user_id, row.sealed)),
        ],
      );
      resealed += rows.length;
    }
    const { rows } = await connection.query(
      "select count(*)::integer as others from clerk_migration.retired_passwords where stack = $1 and sealed is not null and key_id <> $2",
      [stack, to],
    );
    return { resealed, ...z.object({ others: z.number() }).parse(rows[0]) };
  });
}
