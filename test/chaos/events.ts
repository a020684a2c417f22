import { dropDatabase } from "../../sandbox/postgres";
import { databaseFacts } from "../facts";
import {
  arrivedAreRetired,
  asBefore,
  databaseUnchanged,
  everybodyMigrated,
  everybodyTold,
  type Facts,
  nothingChanged,
  profilesFollow,
} from "../invariants";
import { blame, converge, inPeace, underFire, type Verb } from "./disturb";
import type { EventName } from "./tally";
import {
  addAdoptable,
  ageMails,
  allowMail,
  backUpLedger,
  changeRows,
  created,
  loseLedger,
  now,
  openAnotherDatabase,
  signInSome,
  type World,
} from "./world";

/** Requests of a run that finds nothing to do, of one that changes some people, and of one that makes or deletes everybody. */
const [FEW, SOME, MANY] = [4, 8, 14];

/** A rollback that meets digests that are retired counts as `restore`. */
export type Happening = Exclude<EventName, "restore">;

/** One event: what somebody does to the world, and a run under fire that meets it. */
export const events: Readonly<Record<Happening, (world: World) => Promise<void>>> = {
  async up(world) {
    await underFire(world, "up", { verb: "up", requests: MANY });
  },

  async adopt(world) {
    await addAdoptable(world);
    await underFire(world, "adopt", { verb: "up", requests: world.isSettled ? SOME : MANY });
  },

  async update(world) {
    await changeRows(world);
    await underFire(world, "update", { verb: "up", requests: SOME });
  },

  async remind(world) {
    await ageMails(world);
    await underFire(world, "remind", { verb: "up", requests: SOME });
  },

  async retire(world) {
    await signInSome(world);
    await underFire(world, "retire", { verb: "up", requests: SOME });
  },

  async refresh(world) {
    await underFire(world, "refresh", { verb: "refresh", requests: 2 });
  },

  async rename(world) {
    const { ledger } = await now(world);
    const { stack, variables } = world;
    const holds = ledger.users.some(({ status }) => ["creating", "linked", "unlinking"].includes(status));
    const formerName = stack.name();
    await stack.rename(`renamed-${world.chance.below(1_000).toString()}`);
    if (holds) {
      const { run, before, after } = await inPeace(world, "up");
      blame(world, "rename", [
        ...(run.exitCode === 0 ? ["an up under another name goes on without being told to"] : []),
        ...(run.output.includes(formerName) ? [] : ["the stop does not name the other stack"]),
        ...nothingChanged(before, after),
      ]);
      variables.MIGRATE_TAKE_OVER = `clerk-migration/${formerName}`;
    }
    await underFire(world, "rename", { verb: "up", requests: FEW });
  },

  async "lose-ledger"(world) {
    await settle(world);
    await loseLedger(world);
    await underFire(world, "lose-ledger", { verb: "up", requests: SOME });
  },

  async "lose-state"(world) {
    await world.stack.loseState();
    await underFire(world, "lose-state", { verb: "up", requests: SOME });
  },

  async "change-database"(world) {
    await settle(world);
    const { adminUrl, chance } = world;
    const databaseUrl = await openAnotherDatabase(world);
    const there = await databaseFacts(databaseUrl);
    const verb = chance.oneOf<Verb>(["up", "destroy"]);
    const { run, before, after } = await underFire(world, "change-database", {
      verb,
      requests: 2,
      databaseUrl,
    });
    blame(world, "change-database", [
      ...(run.exitCode === 0 ? [`${verb} goes on with another database`] : []),
      ...nothingChanged(before, after),
      ...databaseUnchanged(there, await databaseFacts(databaseUrl)).map((line) => `in the other one ${line}`),
    ]);
    await dropDatabase(adminUrl, databaseUrl);
  },

  async destroy(world) {
    const { ledger } = await now(world);
    const isRestore = ledger.retired_passwords.some(({ sealed }) => sealed !== null);
    await underFire(world, isRestore ? "restore" : "destroy", { verb: "destroy", requests: MANY });
    // Whoever is migrated again is told again.
    allowMail(world, created(world));
  },
};

/** An undisturbed `up`, unless it was the last thing that happened: everybody is migrated, told, and as in the row. */
export async function settle(world: World): Promise<void> {
  if (world.isSettled) return;
  const { ledger } = await now(world);
  const facts = await converge(world, "up");
  if (facts === undefined) return;
  world.isSettled = true;
  await backUpLedger(world);
  const { given } = world;
  blame(world, "up", [
    ...everybodyMigrated(given, facts),
    ...everybodyTold(given, facts),
    ...profilesFollow(given, facts),
    // Whoever is taken up by an `up` is retired by the next.
    ...arrivedAreRetired(given, facts, linkedIn(ledger)),
  ]);
}

function linkedIn({ users }: Facts["ledger"]): ReadonlySet<string> {
  return new Set(users.flatMap(({ user_id, status }) => (status === "linked" ? [user_id] : [])));
}

/** All the way back. */
export async function goBack(world: World): Promise<void> {
  const facts = await converge(world, "destroy");
  if (facts !== undefined) blame(world, "destroy", asBefore(world.given, facts));
}
