import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { readFigures, startRun } from "../../providers/postgres/ledger-runs";
import { progressLine, withProgress } from "../../providers/progress";
import { openTestSystems, SARAH, type TestSystems } from "../systems";

describe("a line of progress", () => {
  test.each([
    [
      { done: 159, total: 400, elapsedMs: 10_000, repeated: 3 },
      "159 of 400 users, 16 a second, 3 requests repeated, about 16 s left",
    ],
    [
      { done: 20, total: 100_000, elapsedMs: 5_000, repeated: 0 },
      "20 of 100,000 users, 4.0 a second, about 6.9 h left",
    ],
    [
      { done: 1_000, total: 100_000, elapsedMs: 10_000, repeated: 0 },
      "1,000 of 100,000 users, 100 a second, about 17 min left",
    ],
    [{ done: 0, total: 10, elapsedMs: 5_000, repeated: 0 }, "0 of 10 users, 0.0 a second"],
    [{ done: 10, total: 10, elapsedMs: 5_000, repeated: 0 }, "10 of 10 users, 2.0 a second"],
  ])("%o", (progress, line) => {
    expect(progressLine(progress)).toBe(line);
  });

  test("is said while the work goes on, and never after it; a failure to say it harms nobody", async () => {
    const lines: string[] = [];
    let sayNext = () => {};
    const said = new Promise<void>((resolve) => (sayNext = resolve));
    const answer = await withProgress(
      2,
      () => Promise.resolve(7),
      (line) => {
        lines.push(line);
        sayNext();
        return Promise.reject(new Error("nobody listens"));
      },
      async (onDone) => {
        onDone();
        await said;
        return "done";
      },
      1,
    );
    expect(answer).toBe("done");
    expect(lines[0]).toContain("1 of 2 users");
    expect(lines[0]).toContain("7 requests repeated");
  });
});

describe("the requests of a run", () => {
  let on: TestSystems;
  beforeEach(async () => {
    on = await openTestSystems();
  });
  afterEach(() => on.close());

  test("are noted with it: all, repeated, and answered 429", async () => {
    const id = await startRun(on.systems.database, {
      owner: on.migration,
      ...{ engine: { host: "", address: "" }, removable: [] },
      operator: null,
      commit: null,
      planned: {},
    });
    on.clerk.faults.add({ on: "POST /users", effect: { type: "answer", status: 429 } });
    await ensureUser(on.systems, await on.declared(SARAH.userId));
    on.systems.noteFigures(true);
    await expect.poll(() => readFigures(on.systems.database, id)).toMatchObject({ repeated: 1, limited: 1 });
    expect((await readFigures(on.systems.database, id)).requests).toBeGreaterThan(1);
  });
});
