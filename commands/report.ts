import { gatherReport } from "../providers/report/gather";
import { reportOf } from "../providers/report/model";
import { pageOf } from "../providers/report/page";
import { command } from "./command";
import { withDatabase } from "./database";
import { writePrivately } from "./private-file";
import { settingsOfStack, stackFlags } from "./settings";

/** `npm run report [-- --out FILE --reveal]`: how the migration stands, as one HTML file that only its owner can read. */
const report = {
  usage: "npm run report",
  says: "Writes how the migration stands into one HTML file that only its owner can read.",
  flags: {
    ...stackFlags,
    out: { type: "string", default: "report.html", value: "file", says: "where to" },
    reveal: { type: "boolean", says: "whole addresses" },
  },
} as const;

void command(report, async (values) => {
  const chosen = await settingsOfStack(values);
  // Whatever a setting says, a report reveals addresses only where it is asked to itself.
  const settings = { ...chosen.settings, reveal: values.reveal ?? false };
  const facts = await withDatabase(settings.databaseUrl, (database) =>
    gatherReport(settings, database, chosen),
  );
  await writePrivately(values.out, pageOf(reportOf(facts)));
  const { funnel } = facts.outputs;
  process.stdout.write(
    `${values.out}: ${funnel.linked.toString()} of ${funnel.legacy.toString()} legacy users are in Clerk, ${funnel.signedIn.toString()} have signed in.\n`,
  );
  return 0;
});
