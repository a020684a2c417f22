import { parseArgs } from "node:util";

import { reportOf } from "../../providers/report/model";
import { pageOf } from "../../providers/report/page";
import { factsOfMany } from "../report-facts";

/** `npm run bench:report [-- --users N]`: how large a report is, how long it takes, and how much memory. */
const { values } = parseArgs({ options: { users: { type: "string", default: "100000" } } });
const facts = factsOfMany(Number(values.users));
const [startedAt, before] = [performance.now(), process.memoryUsage().rss];
const page = pageOf(reportOf(facts));
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
process.stdout.write(
  `${values.users} users: ${megabytes(Buffer.byteLength(page))}, ${((performance.now() - startedAt) / 1000).toFixed(2)} s, ${megabytes(process.memoryUsage().rss - before)} more memory, ${megabytes(process.memoryUsage().rss)} in all\n`,
);
