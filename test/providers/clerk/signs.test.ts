import { afterEach, expect, test } from "vitest";

import { openClerk } from "../../../providers/clerk/client";
import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";

let local: LocalClerk;
afterEach(() => local.stop());

const newUser = (externalId: string, index: number) => ({
  externalId,
  emailAddress: `user+${index.toString()}@example.com`,
  firstName: null,
  lastName: null,
  createdAt: null,
  password: null,
  mark: { migration: "p" },
});

test.each(["-Ab3kdIEkdk3kdk2", "+Ab3", "-1", "--", "a b&c=d", "ü/§"])(
  "a legacy id that begins like a sign, or looks like a query, is found as it is: %s",
  async (externalId) => {
    local = await startClerk({ enforceLimits: false });
    const clerk = openClerk({ secretKey: local.secretKey, apiUrl: local.url, requestsPer10s: 100_000 });
    const made = await clerk.createUser(newUser(externalId, 0));
    // More than fit on a page, and all of them newer: an exclusion would list these.
    for (let index = 1; index <= 5; index++) await clerk.createUser(newUser(`other-${index}`, index));

    expect((await clerk.userByExternalId(externalId))?.id).toBe(made.id);
    expect((await clerk.usersBy("external_id", [externalId])).map(({ id }) => id)).toEqual([made.id]);
    expect(await clerk.usersBy("user_id", [`-${made.id}`])).toEqual([]);
    expect((await clerk.user(made.id))?.externalId).toBe(externalId);
    expect((await clerk.userByEmail("user+0@example.com"))?.id).toBe(made.id);
  },
);
