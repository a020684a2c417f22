import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/global-setup.ts",
    // A flow runs the real CLI several times.
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
