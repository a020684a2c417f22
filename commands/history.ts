import { MigrationError } from "../providers/errors";
import { describeEvents, describeRuns } from "../providers/history";
import { readOnly } from "../providers/postgres/database";
import { eventsBetween, eventsOfUser, numberedRuns } from "../providers/postgres/ledger-events";
import { expectLedger } from "../providers/postgres/ledger-steps";
import { command } from "./command";
import { withDatabase } from "./database";
import { settingsOfStack, stackFlags } from "./settings";

/**
 * `npm run history [-- <user_id> | --run <number>] [--json]`: what happened to a user, in a run, or in which runs, from the
 * ledger's events. Exit code 1 where the ledger knows nothing of it.
 */
const history = {
  usage: "npm run history",
  says: "Lists the runs of the stack, what happened in one of them, or what happened to one user.",
  operand: "user_id",
  flags: {
    ...stackFlags,
    run: { type: "string", value: "number", says: "what happened in this run" },
    json: { type: "boolean", says: "the same for machines" },
  },
} as const;

void command(history, async (values, operands) => {
  const { settings, stack } = await settingsOfStack(values);
  const [userId] = operands;
  const found = await withDatabase(settings.databaseUrl, (database) =>
    readOnly(database, async (connection) => {
      await expectLedger(connection, stack);
      if (userId !== undefined) return { events: await eventsOfUser(connection, userId) };
      const runs = await numberedRuns(connection, stack);
      if (values.run === undefined) return { runs };
      const run = runs.find(({ id }) => id === values.run?.replace("#", ""));
      return {
        events:
          run === undefined ? [] : await eventsBetween(connection, stack, run.startedAt, run.finishedAt),
      };
    }),
  );
  const entries = found.events ?? found.runs;
  if (entries.length === 0) throw nothing(userId, values.run, stack);
  const text =
    found.events === undefined
      ? describeRuns(found.runs)
      : describeEvents(found.events, userId !== undefined);
  process.stdout.write(values.json ? `${JSON.stringify(entries, undefined, 2)}\n` : `${text}\n`);
  return 0;
});

function nothing(userId: string | undefined, run: string | undefined, stack: string): MigrationError {
  if (userId !== undefined)
    return new MigrationError(
      "history",
      `The ledger knows nothing of a user ${userId}.`,
      "Give the user_id as it stands in the table; `npm run plan` lists them.",
    );
  return new MigrationError(
    "history",
    run === undefined
      ? `The ledger knows of no run of ${stack}.`
      : `The ledger knows of no event in a run ${run} of ${stack}.`,
    "`npm run history` lists the runs; --stack chooses another stack.",
  );
}
