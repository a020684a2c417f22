import { counted } from "../providers/counted";
import { MigrationError } from "../providers/errors";
import { resealDigests } from "../providers/postgres/ledger-retired";
import { ensureLedger, expectLedger } from "../providers/postgres/ledger-steps";
import { holdWriterLock } from "../providers/postgres/writer-lock";
import { parseSealKey, seal, unseal } from "../providers/retired-password/seal";
import { command } from "./command";
import { withDatabase } from "./database";
import { settingsOfStack, stackFlags } from "./settings";

/**
 * `npm run rotate-seal-key`: seals every retired digest of the stack anew, from DIGEST_SEAL_KEY to DIGEST_SEAL_KEY_NEW, in
 * one transaction. Safe to repeat.
 */
const rotate = {
  usage: "npm run rotate-seal-key",
  says: "Seals every retired digest of the stack anew, from DIGEST_SEAL_KEY to DIGEST_SEAL_KEY_NEW.",
  flags: stackFlags,
} as const;

void command(rotate, async (values) => {
  const { settings, stack } = await settingsOfStack(values);
  const from = parseSealKey(settings.digestSealKey);
  const to = parseSealKey(process.env.DIGEST_SEAL_KEY_NEW, "DIGEST_SEAL_KEY_NEW");
  if (from.id === to.id)
    throw new MigrationError(
      "seal-key",
      "DIGEST_SEAL_KEY and DIGEST_SEAL_KEY_NEW are the same key.",
      "Set the new one in DIGEST_SEAL_KEY_NEW.",
    );
  const lock = await holdWriterLock(settings.databaseUrl, stack);
  try {
    const { resealed, others } = await withDatabase(settings.databaseUrl, async (database) => {
      // "None sealed" would be taken for leave to destroy the old key.
      await expectLedger(database, stack);
      await ensureLedger(database);
      return resealDigests(database, stack, [from.id, to.id], (userId, sealed) =>
        seal(to, userId, unseal(from, userId, sealed)),
      );
    });
    process.stdout.write(
      `Sealed ${counted(resealed, "digest")} anew with the key ${to.id}. Set DIGEST_SEAL_KEY to it, and destroy the old one.\n`,
    );
    if (others === 0) return 0;
    throw new MigrationError(
      "other-seal-key",
      `${counted(others, "digest")} sealed with neither of the two keys.`,
      "Run the command again with the key that sealed them in DIGEST_SEAL_KEY.",
    );
  } finally {
    await lock.release();
  }
});
