import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type Clerk, openClerk } from "../../../providers/clerk/client";
import { isOutcomeUnknown } from "../../../providers/clerk/errors";
import type { ClerkUser } from "../../../providers/clerk/user";
import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";

const mark = { migration: "p" };
const newUser = {
  externalId: "7",
  emailAddress: "sam@example.com",
  firstName: "Sam",
  lastName: null,
  createdAt: null,
  password: null,
  mark,
};
const invitation = {
  emailAddress: "sam@example.com",
  redirectUrl: null,
  mark: { ...mark, userId: "7" },
};

let local: LocalClerk;
let clerk: Clerk;
let user: ClerkUser;
beforeEach(async () => {
  local = await startClerk({ enforceLimits: false });
  clerk = openClerk({ secretKey: local.secretKey, apiUrl: local.url, requestsPer10s: 100_000 });
  user = await clerk.createUser(newUser);
});
afterEach(() => local.stop());

const live = () => local.store.users.get(user.id);
const sent = (kind: string) => local.store.requests.filter((request) => request.kind === kind).length;

/** What stands between us and Clerk answers, with a success that is none. */
const answers: readonly [
  string,
  { readonly status: number; readonly body: string | Record<string, string> },
][] = [
  ["a page", { status: 200, body: "<html>Please sign in</html>" }],
  ["an empty object", { status: 200, body: {} }],
  ["nothing", { status: 204, body: "" }],
  ["another object", { status: 200, body: { object: "user", id: "user_other", status: "active" } }],
];

interface Write {
  readonly kind: string;
  readonly write: () => Promise<unknown>;
  readonly isDone: () => unknown;
}

const repeatable: readonly [string, Write][] = [
  [
    "a change of name",
    {
      kind: "PATCH /users/{user_id}",
      write: () => clerk.updateUser(user.id, { firstName: "Sally" }),
      isDone: () => live()?.firstName === "Sally",
    },
  ],
  [
    "an external id",
    {
      kind: "PATCH /users/{user_id}",
      write: () => clerk.setExternalId(user.id, null),
      isDone: () => live()?.externalId === null,
    },
  ],
  [
    "a mark that goes",
    {
      kind: "PATCH /users/{user_id}/metadata",
      write: () => clerk.setMark(user.id, null),
      isDone: () => JSON.stringify(live()?.privateMetadata) === "{}",
    },
  ],
  [
    "a change of address",
    {
      kind: "PUT /users/{user_id}/email_address",
      write: () => clerk.replaceEmail(user.id, "new@example.com"),
      isDone: () => live()?.emailAddresses[0]?.emailAddress === "new@example.com",
    },
  ],
  [
    "the end of an invitation",
    {
      kind: "POST /invitations/{invitation_id}/revoke",
      write: async () => clerk.revokeInvitation((await clerk.createInvitation(invitation)).id),
      isDone: () => [...local.store.invitations.values()].every(({ status }) => status === "revoked"),
    },
  ],
  [
    "the end of a link that signs in",
    {
      kind: "POST /sign_in_tokens/{sign_in_token_id}/revoke",
      write: async () => clerk.revokeSignInToken((await clerk.createSignInToken(user.id, 60)).id),
      isDone: () => [...local.store.signInTokens.values()].every(({ status }) => status === "revoked"),
    },
  ],
  [
    "the end of a user",
    {
      kind: "DELETE /users/{user_id}",
      write: () => clerk.deleteUser(user.id),
      isDone: () => live() === undefined,
    },
  ],
];

describe.each(answers)("where something else than Clerk answers with %s", (_, answer) => {
  test.each(repeatable)("%s is asked of Clerk again", async (__, { kind, write, isDone }) => {
    local.faults.add({ on: kind, effect: { type: "answer", ...answer } });
    await write();
    expect(isDone()).toBe(true);
    expect(sent(kind)).toBe(2);
  });

  test.each<[string, string, () => Promise<unknown>]>([
    ["a create", "POST /users", () => clerk.createUser({ ...newUser, externalId: "8" })],
    ["an invitation", "POST /invitations", () => clerk.createInvitation(invitation)],
    ["a link that signs in", "POST /sign_in_tokens", () => clerk.createSignInToken(user.id, 60)],
  ])("%s has an unknown outcome, and is not repeated", async (__, kind, write) => {
    const before = sent(kind);
    local.faults.add({ on: kind, effect: { type: "answer", ...answer } });
    const error = await write().catch((thrown: unknown) => thrown);
    expect(isOutcomeUnknown(error)).toBe(true);
    expect(sent(kind)).toBe(before + 1);
  });

  test("no password counts as right", async () => {
    local.faults.add({
      on: "POST /users/{user_id}/verify_password",
      times: 1,
      effect: { type: "answer", ...answer },
    });
    // Asked again, Clerk says that there is none.
    expect(await clerk.isPassword(user.id, "guess")).toBe(false);
  });
});

test.each(["POST /invitations/{invitation_id}/revoke", "DELETE /users/{user_id}"])(
  "a 404 that is not Clerk's proves nothing: %s",
  async (kind) => {
    const { id } = await clerk.createInvitation(invitation);
    local.faults.add({ on: kind, times: 9, effect: { type: "answer", status: 404 } });
    await expect(clerk.revokeInvitation(id).then(() => clerk.deleteUser(user.id))).rejects.toThrow("404");
  },
);
