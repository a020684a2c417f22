import { json, type Route } from "../call";
import { missingResource, notTogether } from "../errors";
import type { Instance } from "../instance";
import { booleanOf, integerOf, orderOf, pageOf, pick, valuesOf } from "../query";
import type { User } from "../records";
import { userJson } from "../user-json";

type Test = (user: User) => boolean;

const ORDERS: Readonly<Record<string, (user: User) => string | number>> = {
  created_at: (user) => user.createdAt,
  updated_at: (user) => user.updatedAt,
  email_address: (user) => user.emailAddresses[0]?.emailAddress ?? "",
  web3wallet: () => "",
  first_name: (user) => user.firstName ?? "",
  last_name: (user) => user.lastName ?? "",
  phone_number: (user) => user.phoneNumbers[0]?.phoneNumber ?? "",
  username: (user) => user.username ?? "",
  last_active_at: (user) => user.lastActiveAt ?? 0,
  last_sign_in_at: (user) => user.lastSignInAt ?? 0,
};

const TIMES: Readonly<Record<string, (user: User) => number | null>> = {
  created_at: (user) => user.createdAt,
  last_sign_in_at: (user) => user.lastSignInAt,
  last_active_at: (user) => user.lastActiveAt,
};

/** Partial matches, in whatever case. */
const SEARCHES: Readonly<Record<string, (user: User) => readonly (string | null)[]>> = {
  query: (user) => [
    ...addressesOf(user),
    ...phonesOf(user),
    user.username,
    user.id,
    user.firstName,
    user.lastName,
  ],
  email_address_query: addressesOf,
  phone_number_query: phonesOf,
  username_query: (user) => [user.username],
  name_query: (user) => [[user.firstName, user.lastName].filter((name) => name !== null).join(" ")],
};

export const listUserRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/users",
    handle(instance, { query }) {
      const page = pageOf(query);
      const users = ordered(matching(instance, query), query);
      const start = afterCursor(users, query);
      return json(pick(users, { ...page, offset: start + page.offset }).map(userJson));
    },
  },
  {
    method: "GET",
    path: "/users/count",
    handle: (instance, { query }) =>
      json({ object: "total_count", total_count: matching(instance, query).length }),
  },
];

/** The users that pass every filter, newest first. */
function matching(instance: Instance, query: URLSearchParams): readonly User[] {
  const tests = [...exclusions(instance, query), ...searches(query), ...ranges(query)];
  const banned = booleanOf(query, "banned");
  if (banned !== undefined) tests.push((user) => user.banned === banned);
  // Nobody here has a wallet, an organization or an account elsewhere.
  for (const name of ["web3_wallet", "organization_id", "provider_user_id"]) {
    if (valuesOf(query, name, instance.limits.filterValues)) tests.push(() => false);
  }
  return candidates(instance, query).filter((user) => tests.every((test) => test(user)));
}

/** By index where a filter names users one by one, so that a page of 100 out of 100,000 costs nothing. */
function candidates(instance: Instance, query: URLSearchParams): readonly User[] {
  const { store, limits } = instance;
  const filters: readonly [name: string, find: (value: string) => User | undefined][] = [
    ["user_id", (value) => store.users.get(value)],
    ["external_id", (value) => store.userByExternalId(value)],
    ["email_address", (value) => store.userByEmailAddress(value)],
    ["phone_number", (value) => store.userByPhoneNumber(value)],
    ["username", (value) => store.userByUsername(value)],
  ];
  const found = filters.flatMap(([name, find]) => {
    const wanted = valuesOf(query, name, limits.filterValues)?.filter((value) => !isExclusion(name, value));
    if (!wanted || wanted.length === 0) return [];
    return [new Set(wanted.map((value) => find(withoutSign(name, value))?.id))];
  });
  if (found.length === 0) return store.usersByCreation();
  const [first, ...others] = found;
  const ids = [...(first ?? [])].filter((id) => others.every((set) => set.has(id)));
  return ids
    .flatMap((id) => (id === undefined ? [] : (store.users.get(id) ?? [])))
    .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
}

const SIGNED: ReadonlySet<string> = new Set(["user_id", "external_id"]);

/** Clerk reads `-user_2x…` as "but not this one". */
function isExclusion(name: string, value: string): boolean {
  return SIGNED.has(name) && value.startsWith("-");
}

function withoutSign(name: string, value: string): string {
  return SIGNED.has(name) ? value.replace(/^[+-]/, "") : value;
}

function exclusions(instance: Instance, query: URLSearchParams): Test[] {
  return [...SIGNED].flatMap((name) => {
    const values = valuesOf(query, name, instance.limits.filterValues) ?? [];
    const excluded = new Set(
      values.filter((value) => isExclusion(name, value)).map((value) => withoutSign(name, value)),
    );
    if (excluded.size === 0) return [];
    return [(user: User) => !excluded.has((name === "user_id" ? user.id : user.externalId) ?? "")];
  });
}

function searches(query: URLSearchParams): Test[] {
  return Object.entries(SEARCHES).flatMap(([name, textsOf]) => {
    const wanted = query.get(name)?.toLowerCase();
    if (!wanted) return [];
    return [(user: User) => textsOf(user).some((text) => text?.toLowerCase().includes(wanted))];
  });
}

function ranges(query: URLSearchParams): Test[] {
  return Object.entries(TIMES).flatMap(([name, timeOf]) => {
    const before = integerOf(query, `${name}_before`);
    const after = integerOf(query, `${name}_after`) ?? integerOf(query, `${name}_since`);
    if (before === undefined && after === undefined) return [];
    return [
      (user: User) => {
        const time = timeOf(user);
        return time !== null && time < (before ?? Infinity) && time > (after ?? -Infinity);
      },
    ];
  });
}

function ordered(users: readonly User[], query: URLSearchParams): readonly User[] {
  const { field, descending } = orderOf(query, Object.keys(ORDERS));
  // They come newest first.
  if (field === "created_at") return descending ? users : [...users].reverse();
  const keyOf = ORDERS[field] ?? (() => 0);
  const sign = descending ? -1 : 1;
  return [...users].sort((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)];
    return left < right ? -sign : left > right ? sign : 0;
  });
}

/** Where a page begins that continues behind the user named by `starting_after`. */
function afterCursor(users: readonly User[], query: URLSearchParams): number {
  const cursor = query.get("starting_after");
  if (cursor === null) return 0;
  if (orderOf(query, Object.keys(ORDERS)).field !== "created_at")
    throw notTogether("starting_after", "order_by");
  if (pageOf(query).offset !== 0) throw notTogether("starting_after", "offset");
  const position = users.findIndex((user) => user.id === cursor);
  if (position === -1) throw missingResource("starting_after");
  return position + 1;
}

function addressesOf(user: User): readonly string[] {
  return user.emailAddresses.map((address) => address.emailAddress);
}

function phonesOf(user: User): readonly string[] {
  return user.phoneNumbers.map((phone) => phone.phoneNumber);
}
