import type { Invitation, LoggedRequest, Mail, Session, SignInToken, User } from "./records";

/**
 * Everything one instance knows. Users change only through `putUser`, `changeUser` and `removeUser`, which keep
 * the indexes that make 100,000 of them bearable; the other collections are plain and may be edited freely.
 */
export interface Store {
  readonly users: ReadonlyMap<string, User>;
  readonly invitations: Map<string, Invitation>;
  readonly signInTokens: Map<string, SignInToken>;
  readonly sessions: Map<string, Session>;
  readonly outbox: Mail[];
  readonly requests: LoggedRequest[];
  putUser(user: User): User;
  /** Throws if there is no such user. */
  changeUser(id: string, changes: Partial<Omit<User, "id">>): User;
  removeUser(id: string): void;
  /** The one user for whom this address is verified or reserved. */
  userByEmailAddress(emailAddress: string): User | undefined;
  userByExternalId(externalId: string): User | undefined;
  userByUsername(username: string): User | undefined;
  userByPhoneNumber(phoneNumber: string): User | undefined;
  /** Newest first, as Clerk lists them. */
  usersByCreation(): readonly User[];
}

export function createStore(): Store {
  const users = new Map<string, User>();
  const claims = new Map<string, string>();
  let byCreation: readonly User[] | undefined;

  function drop(user: User) {
    for (const claim of claimsOf(user)) {
      if (claims.get(claim) === user.id) claims.delete(claim);
    }
  }

  function putUser(user: User): User {
    const before = users.get(user.id);
    if (before) drop(before);
    for (const claim of claimsOf(user)) claims.set(claim, user.id);
    users.set(user.id, user);
    byCreation = undefined;
    return user;
  }

  function holder(claim: string): User | undefined {
    const id = claims.get(claim);
    return id === undefined ? undefined : users.get(id);
  }

  return {
    users,
    invitations: new Map(),
    signInTokens: new Map(),
    sessions: new Map(),
    outbox: [],
    requests: [],
    putUser,
    changeUser(id, changes) {
      const user = users.get(id);
      if (!user) throw new Error(`There is no user ${id} to change.`);
      return putUser({ ...user, ...changes });
    },
    removeUser(id) {
      const user = users.get(id);
      if (!user) return;
      drop(user);
      users.delete(id);
      byCreation = undefined;
    },
    userByEmailAddress: (emailAddress) => holder(emailClaim(emailAddress)),
    userByExternalId: (externalId) => holder(`external_id ${externalId}`),
    userByUsername: (username) => holder(`username ${username.toLowerCase()}`),
    userByPhoneNumber: (phoneNumber) => holder(`phone ${phoneNumber}`),
    usersByCreation() {
      byCreation ??= [...users.values()].sort(
        (a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0),
      );
      return byCreation;
    },
  };
}

function emailClaim(emailAddress: string): string {
  return `email ${emailAddress.toLowerCase()}`;
}

/** What nobody else may have while this user does. */
function claimsOf(user: User): string[] {
  return [
    ...user.emailAddresses
      .filter((address) => address.status !== "unverified")
      .map((address) => emailClaim(address.emailAddress)),
    ...user.phoneNumbers.map((phone) => `phone ${phone.phoneNumber}`),
    ...(user.externalId === null ? [] : [`external_id ${user.externalId}`]),
    ...(user.username === null ? [] : [`username ${user.username.toLowerCase()}`]),
  ];
}
