import { stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { startPostgres } from "../../sandbox/postgres";
import { loadGenerated } from "../../sandbox/sample-users";
import { openStack, type Run } from "../stack";

/** What Clerk allows in production, and the share of it that the program uses. */
const REQUESTS_PER_S = 100 * 0.95;

/**
 * `npm run bench [-- --users N]`: the real CLI against a local Clerk that enforces production's limits. What counts
 * is the last column: 1.0 is as fast as Clerk lets anybody be.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { users: { type: "string", default: "1000" } } });
  const users = Number(values.users);
  const postgres = await startPostgres();
  const stack = await openStack(postgres.url, {
    secretKey: "sk_live_bench000000000000000000000000000000000",
    enforceLimits: true,
    load: (url) => loadGenerated(url, users),
  });
  try {
    await stack.configure({ allowProduction: "true", notify: "none", clerkRequestsPer10s: "0" });
    const { requests } = stack.clerk.store;
    const rows: Record<string, unknown>[] = [];

    const measure = async (what: string, work: () => Promise<Run>) => {
      const [startedAt, sentBefore] = [performance.now(), requests.length];
      const { exitCode, output } = await work();
      if (exitCode !== 0) throw new Error(output.slice(-2_000));
      const seconds = (performance.now() - startedAt) / 1000;
      const sent = requests.slice(sentBefore);
      rows.push({
        what,
        seconds: seconds.toFixed(1),
        requests: sent.length,
        "429s": sent.filter(({ status }) => status === 429).length,
        "requests at Clerk's limit (s)": (sent.length / REQUESTS_PER_S).toFixed(1),
        "time / limit": sent.length > users / 2 ? (seconds / (sent.length / REQUESTS_PER_S)).toFixed(2) : "",
      });
    };
    const skipping = { PULUMI_SKIP_CHECKPOINTS: "true" };
    await measure("preview", () => stack.pulumi(["preview"]));
    await measure("up", () => stack.up(skipping));
    const state = await stat(join(stack.directory, "state/.pulumi/stacks/clerk-migration/sandbox.json"));
    await measure("up again", () => stack.up(skipping));
    await measure("refresh", () =>
      stack.pulumi(["refresh", "--yes", "--skip-preview", "--parallel", "50"], skipping),
    );
    await measure("destroy", () => stack.destroy(skipping));
    console.table(rows);
    process.stdout.write(
      `${users.toString()} users; ${Math.round(state.size / users).toString()} bytes of state a user\n`,
    );
  } finally {
    await stack.stop();
    await postgres.stop();
  }
}

void main();
