import { expect, test } from "vitest";

import { providerPointer } from "../../providers/pointer";

test("what Pulumi stores as code never changes: it is what destroy runs for users migrated long ago", () => {
  expect(providerPointer("migration")).toBe(
    `require("tsx/cjs");exports.handler=()=>require("./providers/migration/provider.ts").provider`,
  );
  expect(providerPointer("clerk-user")).toBe(
    `require("tsx/cjs");exports.handler=()=>require("./providers/clerk-user/provider.ts").provider`,
  );
  expect(providerPointer("notification")).toBe(
    `require("tsx/cjs");exports.handler=()=>require("./providers/notification/provider.ts").provider`,
  );
});
