import { createInterface } from "node:readline/promises";

import { counted } from "../providers/counted";
import { MigrationError } from "../providers/errors";
import { firstFew } from "../providers/first-few";
import { purgeable, purgeDigests } from "../providers/postgres/ledger-retired";
import { ensureLedger, expectLedger } from "../providers/postgres/ledger-steps";
import { holdWriterLock } from "../providers/postgres/writer-lock";
import { command } from "./command";
import { withDatabase } from "./database";
import { settingsOfStack, stackFlags } from "./settings";

const DAY_MS = 24 * 3600 * 1000;
const SHOWN = 5;

/**
 * `npm run purge [-- --dry-run | --confirm <stack>]`: deletes sealed digests older than `purgeAfterDays`, for good. Asks for
 * the stack's name to be typed; where nobody can type, `--confirm` has to give it.
 */
const purge = {
  usage: "npm run purge",
  says: "Deletes sealed password digests older than `purgeAfterDays`, for good, after the stack's name has been typed.",
  flags: {
    ...stackFlags,
    "dry-run": { type: "boolean", says: "only says which" },
    confirm: { type: "string", value: "project/stack", says: "the name, where nobody can type" },
  },
} as const;

void command(purge, async (values) => {
  const { settings, stack } = await settingsOfStack(values);
  const before = new Date(Date.now() - settings.purgeAfterDays * DAY_MS);
  return withDatabase(settings.databaseUrl, async (database) => {
    await expectLedger(database, stack);
    const userIds = await purgeable(database, stack, before);
    const age = `${settings.purgeAfterDays.toString()} days`;
    if (userIds.length === 0) {
      process.stdout.write(`No sealed digest of ${stack} is older than ${age}.\n`);
      return 0;
    }
    process.stdout.write(
      `${counted(userIds.length, "sealed digest")} of ${stack} older than ${age}: ${firstFew(userIds, SHOWN)}.\nOnce they are deleted, these users cannot be rolled back any more.\n`,
    );
    if (values["dry-run"] === true) {
      process.stdout.write("Dry run: nothing is deleted.\n");
      return 0;
    }
    if ((values.confirm ?? (await typed(stack))) !== stack)
      throw new MigrationError(
        "not-confirmed",
        "That is not the name of the stack, so nothing is deleted.",
        `Type ${stack}, or say --confirm ${stack}.`,
      );
    // No rollback may be restoring one of them meanwhile.
    const lock = await holdWriterLock(settings.databaseUrl, stack);
    try {
      await ensureLedger(database);
      const purged = await purgeDigests(database, stack, before);
      process.stdout.write(`Deleted ${counted(purged, "sealed digest")}.\n`);
    } finally {
      await lock.release();
    }
    return 0;
  });
});

async function typed(stack: string): Promise<string> {
  if (!process.stdin.isTTY) return "";
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await lines.question(`Type ${stack} to delete them: `)).trim();
  } finally {
    lines.close();
  }
}
