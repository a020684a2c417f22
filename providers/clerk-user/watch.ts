import type { ClerkUser } from "../clerk/user";
import { otherInstance } from "../errors";
import { readLedger } from "../postgres/ledger";
import type { Owner } from "../postgres/ledger-migrations";
import { type LinkOfRow, readLinks } from "../postgres/legacy-users";
import type { Systems } from "../systems";
import { conditionOf, describeCondition, signInTime, withDecidedEmail } from "./condition";
import type { ClerkUserOutputs } from "./inputs";

/** Clerk takes at most 100 ids in a filter. */
const PAGE = 100;

interface Observation {
  readonly row: LinkOfRow | undefined;
  readonly live: ClerkUser | undefined;
}

/** One page of the stack's users, fetched once per process: a refresh of 10,000 users costs 100 requests. */
interface Pages {
  readonly pageOf: ReadonlyMap<string, number>;
  readonly members: readonly (readonly { userId: string; clerkUserId: string }[])[];
  readonly fetched: Map<number, Promise<ReadonlyMap<string, Observation>>>;
}

const stacks = new WeakMap<Systems, Map<string, Promise<Pages>>>();

/**
 * The user as it is now: the recorded outputs with a fresh `condition` and sign-in time. Never writes, and never
 * answers "gone" to Pulumi, which would drop the user from state and create it anew.
 */
export async function readUserState(systems: Systems, outputs: ClerkUserOutputs): Promise<ClerkUserOutputs> {
  const { id } = await systems.instance();
  if (id !== outputs.clerkInstanceId) {
    throw otherInstance(`User ${outputs.userId}`, outputs.clerkInstanceId, id);
  }
  const owner = await systems.owner(outputs);
  const { row, live } = await observation(systems, owner, outputs);
  const condition = conditionOf(outputs.userId, withDecidedEmail(row, outputs.decidedEmail), live, owner);
  if (condition !== "ok" && condition !== outputs.seen)
    systems.warn(describeCondition(outputs.userId, condition));
  return {
    ...outputs,
    condition,
    lastSignInAt: live === undefined ? outputs.lastSignInAt : signInTime(live),
  };
}

async function observation(systems: Systems, owner: Owner, outputs: ClerkUserOutputs): Promise<Observation> {
  const pages = await pagesOf(systems, owner);
  const page = pages.pageOf.get(outputs.userId);
  // The ledger does not know the user: ask for this one alone.
  if (page === undefined) {
    const one = await fetchPage(systems, [{ userId: outputs.userId, clerkUserId: outputs.clerkUserId }]);
    return one.get(outputs.userId) ?? { row: undefined, live: undefined };
  }
  let fetched = pages.fetched.get(page);
  if (fetched === undefined) {
    fetched = fetchPage(systems, pages.members[page] ?? []);
    pages.fetched.set(page, fetched);
  }
  return (await fetched).get(outputs.userId) ?? { row: undefined, live: undefined };
}

async function pagesOf(systems: Systems, owner: Owner): Promise<Pages> {
  const { stack } = owner;
  const known = stacks.get(systems) ?? new Map<string, Promise<Pages>>();
  stacks.set(systems, known);
  let pages = known.get(stack);
  if (pages === undefined) {
    pages = cutIntoPages(systems, owner);
    known.set(stack, pages);
  }
  return pages;
}

async function cutIntoPages(systems: Systems, owner: Owner): Promise<Pages> {
  const { users } = await readLedger(systems.database, owner);
  const members: { userId: string; clerkUserId: string }[][] = [];
  const pageOf = new Map<string, number>();
  for (const { userId, clerkUserId, stack: holder } of users.values()) {
    if (clerkUserId === null || holder !== owner.stack) continue;
    if ((members.at(-1)?.length ?? PAGE) === PAGE) members.push([]);
    members.at(-1)?.push({ userId, clerkUserId });
    pageOf.set(userId, members.length - 1);
  }
  return { members, pageOf, fetched: new Map() };
}

async function fetchPage(
  systems: Systems,
  members: readonly { userId: string; clerkUserId: string }[],
): Promise<ReadonlyMap<string, Observation>> {
  const [rows, users] = await Promise.all([
    readLinks(
      systems.database,
      systems.settings.table,
      members.map((member) => member.userId),
    ),
    systems.clerk.usersBy(
      "user_id",
      members.map((member) => member.clerkUserId),
    ),
  ]);
  const live = new Map(users.map((user) => [user.id, user]));
  return new Map(
    members.map(({ userId, clerkUserId }) => [
      userId,
      { row: rows.get(userId), live: live.get(clerkUserId) },
    ]),
  );
}
