import type { Clerk, Instance, UserFilter } from "./client";
import { type InstanceEnvironment, readEnvironment } from "./environment";
import type { ClerkUser } from "./user";

/** What has to be asked of Clerk to judge the rows: values without repetition. */
export interface Questions {
  readonly addresses: readonly string[];
  readonly externalIds: readonly string[];
  readonly clerkUserIds: readonly string[];
  readonly usernames: readonly string[];
  readonly phoneNumbers: readonly string[];
}

/** What Clerk says before a run. */
export interface ClerkFacts {
  /** By lower-case address, for addresses that nobody else can have any more. */
  readonly byAddress: ReadonlyMap<string, ClerkUser>;
  readonly byExternalId: ReadonlyMap<string, ClerkUser>;
  readonly byId: ReadonlyMap<string, ClerkUser>;
  readonly byUsername: ReadonlyMap<string, ClerkUser>;
  readonly byPhoneNumber: ReadonlyMap<string, ClerkUser>;
  readonly kind: Instance["kind"];
  /** null where the issuer did not say. */
  readonly environment: InstanceEnvironment | null;
  /** Entries of the lists that are on; empty where they are off. */
  readonly allowlist: readonly string[];
  readonly blocklist: readonly string[];
  /** How many more users the instance takes; null where there is no limit. */
  readonly room: number | null;
}

export interface FactsOptions {
  readonly issuerUrl: string;
  readonly instance: Instance;
  /** How many users the instance holds at most; 0 for Clerk's own limit. */
  readonly userLimit: number;
}

/** A development instance holds 100 users (clerk.com/docs, system limits); a production instance has no limit. */
const DEVELOPMENT_USERS = 100;

/** Asks Clerk, 100 values a request. */
export async function askClerk(
  clerk: Clerk,
  questions: Questions,
  { issuerUrl, instance, userLimit }: FactsOptions,
): Promise<ClerkFacts> {
  const find = async (
    filter: UserFilter,
    values: readonly string[],
    keysOf: (user: ClerkUser) => readonly (string | null)[],
  ) => {
    const found = new Map<string, ClerkUser>();
    for (const user of await clerk.usersBy(filter, values)) {
      for (const key of keysOf(user)) if (key !== null) found.set(key, user);
    }
    return found;
  };
  const environment = await readEnvironment(issuerUrl);
  const limit = userLimit || (instance.kind === "development" ? DEVELOPMENT_USERS : 0);
  const claimed = (user: ClerkUser) =>
    user.emails.filter((email) => email.isClaimed).map((email) => email.address.toLowerCase());

  const [byAddress, byExternalId, byId, byUsername, byPhoneNumber, allowlist, blocklist, users] =
    await Promise.all([
      find("email_address", questions.addresses, claimed),
      find("external_id", questions.externalIds, (user) => [user.externalId]),
      find("user_id", questions.clerkUserIds, (user) => [user.id]),
      find("username", questions.usernames, (user) => [user.username]),
      find("phone_number", questions.phoneNumbers, (user) => user.phoneNumbers),
      environment?.hasAllowlist === true ? clerk.accessList("allowlist") : [],
      environment?.hasBlocklist === true ? clerk.accessList("blocklist") : [],
      limit === 0 ? 0 : clerk.userCount(),
    ]);
  return {
    ...{ byAddress, byExternalId, byId, byUsername, byPhoneNumber, environment, allowlist, blocklist },
    kind: instance.kind,
    room: limit === 0 ? null : Math.max(0, limit - users),
  };
}
