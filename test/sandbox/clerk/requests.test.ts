import type { ClerkClient } from "@clerk/backend";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { clientOf, legacyUser, refusal } from "./people";

let clerk: LocalClerk;
let client: ClerkClient;

beforeEach(async () => {
  clerk = await startClerk();
  client = clientOf(clerk);
});

afterEach(() => clerk.stop());

describe("a request", () => {
  test("needs the instance's own key", async () => {
    const stranger = clientOf({ ...clerk, secretKey: "sk_test_stranger" });
    expect(await refusal(stranger.users.getUser("user_1"))).toMatchObject({
      status: 401,
      code: "clerk_key_invalid",
    });
    const keyless = await fetch(`${clerk.url}/v1/users`);
    expect(keyless.status).toBe(401);
    expect(await keyless.json()).toMatchObject({ errors: [{ code: "authorization_header_format_invalid" }] });
  });

  test("is answered as exactly application/json", async () => {
    const response = await fetch(`${clerk.url}/v1/instance`, {
      headers: { authorization: `Bearer ${clerk.secretKey}` },
    });
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toMatchObject({ id: clerk.instanceId, environment_type: "development" });
  });

  test("is remembered without its body and without the values of its query", async () => {
    await client.users.createUser(legacyUser());
    await client.users.getUserList({ emailAddress: ["sam@example.com"], limit: 100 });
    expect(clerk.store.requests).toMatchObject([
      { kind: "POST /users", status: 200, wrote: true, queryKeys: [] },
      { kind: "GET /users", status: 200, wrote: false, queryKeys: ["email_address", "limit"] },
      { kind: "GET /users/count", status: 200, wrote: false },
    ]);
    expect(JSON.stringify(clerk.store.requests)).not.toContain("sam@example.com");
  });

  test("that is refused has written nothing", async () => {
    await refusal(client.users.createUser(legacyUser({ emailAddress: ["sam"] })));
    expect(clerk.store.requests).toMatchObject([{ status: 422, wrote: false }]);
  });
});
