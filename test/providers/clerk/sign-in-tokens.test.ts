import { inspect } from "node:util";

import { afterEach, beforeEach, expect, test } from "vitest";

import { openClerk } from "../../../providers/clerk/client";
import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";

let local: LocalClerk;
beforeEach(async () => {
  local = await startClerk({ enforceLimits: false });
});
afterEach(() => local.stop());

async function openWithUser() {
  const clerk = openClerk({ secretKey: local.secretKey, apiUrl: local.url, requestsPer10s: 100_000 });
  const user = await clerk.createUser({
    externalId: "user-1",
    emailAddress: "user-1@example.com",
    firstName: null,
    lastName: null,
    createdAt: null,
    password: null,
    mark: { migration: "m_test" },
  });
  return { clerk, userId: user.id };
}
const sent = () => local.store.requests.filter(({ kind }) => kind === "POST /sign_in_tokens");
const stored = () => [...local.store.signInTokens.values()];

test("makes a link that lasts as long as asked, and revokes it once", async () => {
  const { clerk, userId } = await openWithUser();
  const made = await clerk.createSignInToken(userId, 3600);
  const [token] = stored();
  expect(made).toEqual({ id: token?.id, url: token?.url, token: token?.token });
  expect((token?.expiresAt ?? 0) - (token?.createdAt ?? 0)).toBe(3_600_000);
  expect(await clerk.revokeSignInToken(made.id)).toBe(true);
  expect(stored()[0]?.status).toBe("revoked");
  expect(await clerk.revokeSignInToken(made.id)).toBe(false);
  expect(await clerk.revokeSignInToken("sit_nowhere")).toBe(false);
});

test.each([{ type: "cut-after" }, { type: "truncated-json" }] as const)(
  "never asks twice where the outcome is unknown ($type), and throws nothing of the secret",
  async (effect) => {
    const { clerk, userId } = await openWithUser();
    local.faults.add({ on: "POST /sign_in_tokens", effect });
    const error: unknown = await clerk.createSignInToken(userId, 3600).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(sent()).toHaveLength(1);
    const [token] = stored();
    expect(token).toBeDefined();
    const shown = inspect(error, { depth: 9 });
    expect(shown).not.toContain("ticket=");
    expect(shown).not.toContain(token?.token);
  },
);

test("throws nothing of the secret where the answer has another shape", async () => {
  const { clerk, userId } = await openWithUser();
  local.faults.add({
    on: "POST /sign_in_tokens",
    effect: { type: "answer", status: 200, body: { token: "s3cret", url: 5 }, committed: true },
  });
  const error: unknown = await clerk.createSignInToken(userId, 3600).catch((thrown: unknown) => thrown);
  expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
});
