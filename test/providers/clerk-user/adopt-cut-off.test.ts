import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ClerkUserInputs } from "../../../providers/clerk-user/inputs";
import { ensureUser } from "../../../providers/clerk-user/lifecycle";
import { deleteUser } from "../../../providers/clerk-user/rollback";
import { clerkUser } from "../../../sandbox/clerk/new-user";
import { type PostgresProxy, startPostgresProxy } from "../../postgres-proxy";
import { openTestSystems, SARAH, type TestSystems } from "../../systems";

const { userId } = SARAH;

/** She was there before us; in some trials with the legacy id, set by somebody else. */
const hers = (externalId: string | null) => ({
  ...clerkUser({ id: "user_sarah", email: SARAH.email }),
  externalId,
  privateMetadata: { theirs: true },
});

let on: TestSystems;
let proxy: PostgresProxy;
let inputs: ClerkUserInputs;
beforeEach(async () => {
  on = await openTestSystems();
  proxy = await startPostgresProxy(on.database.url);
});
afterEach(async () => {
  await proxy.stop();
  await on.close();
});

const up = () => ensureUser(on.systems, inputs);
/** The state of a user whose create has failed knows nothing: what there is to give back is for ledger and mark to say. */
const destroy = () =>
  deleteUser(on.systems, {
    ...inputs,
    clerkUserId: "",
    clerkInstanceId: on.clerk.instanceId,
    origin: "created",
    condition: "ok",
    seen: "ok",
    lastSignInAt: "",
  });

/** But for the time of the last change, which is Clerk's. */
function expectAsBefore(before: ReturnType<typeof hers>): void {
  const live = on.clerk.store.users.get("user_sarah");
  expect(live).toEqual({ ...before, updatedAt: live?.updatedAt });
}

interface Kill {
  readonly where: string;
  /** The process ends at this step of the work; false where the work was done before. */
  readonly at: (step: number, work: () => Promise<unknown>) => Promise<boolean>;
}

/** The key is refused from then on, so that nothing more leaves, whether or not this request was carried out. */
const atRequest = (committed: boolean): Kill => ({
  where: `a request to Clerk (carried out: ${committed.toString()})`,
  async at(step, work) {
    // The first request asks whose key it is.
    const skip = step + 1;
    on.clerk.faults.add({ on: "*", skip, effect: { type: "answer", status: 403, committed } });
    await work().catch(() => undefined);
    const isStruck = on.clerk.faults.list().some(({ struck }) => struck > 0);
    on.clerk.faults.clear();
    await on.restart();
    return isStruck;
  },
});

/** Every connection is cut, and no new one comes about. */
const atStatement: Kill = {
  where: "a statement to Postgres",
  async at(step, work) {
    await on.restart({ databaseUrl: proxy.url });
    proxy.add({ on: "", effect: "cut-before", skip: step, times: 1_000 });
    await work().catch(() => undefined);
    const isStruck = proxy.pending() < 1_000;
    proxy.clear();
    await on.restart();
    return isStruck;
  },
};

const nothing = () => Promise.resolve();
const stories: readonly [
  string,
  before: () => Promise<unknown>,
  cutOff: () => Promise<unknown>,
  after: () => Promise<unknown>,
][] = [
  ["an adoption that is rolled back", nothing, up, destroy],
  ["an adoption that is finished", nothing, up, up],
  ["a rollback that is repeated", up, destroy, destroy],
  ["a rollback after which she is adopted again", up, destroy, up],
];

describe.each([null, userId])("an account whose external id was %s", (externalId) => {
  describe.each([atRequest(false), atRequest(true), atStatement])("killed at $where", ({ at }) => {
    test.each(stories)(
      "is as it was after %s, whatever the step",
      async (_, before, cutOff, after) => {
        const wasHers = hers(externalId);
        on.clerk.store.putUser(wasHers);
        inputs = await on.declared(userId, { existing: "adopt" });
        let steps = 0;
        for (let isStruck = true; isStruck; steps++) {
          await before();
          isStruck = await at(steps, cutOff);
          await after();
          if (after === up) expect(await on.link(userId)).toBe("user_sarah");
          await destroy();

          expectAsBefore(wasHers);
          expect(await on.link(userId)).toBeNull();
        }
        expect(steps).toBeGreaterThan(1);
        expect(on.written()).not.toContain("DELETE /users/{user_id}");
        expect(on.written()).not.toContain("POST /users");
      },
      120_000,
    );
  });
});

test.each([
  ["before it could note whom it was to adopt", "status = 'creating', clerk_user_id = null, origin = null"],
  ["half given back", "status = 'unlinking'"],
])("a run planned after one that was cut off %s goes on with that account", async (_, ledger) => {
  on.clerk.store.putUser(hers(null));
  inputs = await on.declared(userId, { existing: "adopt" });
  await up();
  await on.query(`update clerk_migration.users set ${ledger} where user_id = $1`, [userId]);
  await on.query("update users set clerk_user_id = null where user_id = $1", [userId]);
  on.clerk.store.putUser(hers(null));

  inputs = await on.declared(userId, { existing: "adopt" });
  expect(inputs.adopt).toBe("user_sarah");
  await up();

  expect(await on.link(userId)).toBe("user_sarah");
  await destroy();
  expectAsBefore(hers(null));
});

test("an account is given back as it was where the ledger is lost, for the mark says what was set", async () => {
  on.clerk.store.putUser(hers(null));
  inputs = await on.declared(userId, { existing: "adopt" });
  const recorded = await up();
  await on.query("delete from clerk_migration.users");
  await deleteUser(on.systems, { ...recorded, origin: "created" });
  expectAsBefore(hers(null));
});
