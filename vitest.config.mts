import { defineConfig } from "vitest/config";
import type { Reporter } from "vitest/node";

/** One plain line at the end, for machines: `182 passed, 0 failed, 2 skipped`. */
const plainSummary: Reporter = {
  onTestRunEnd(modules) {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) for (const one of module.children.allTests()) count[one.result().state]++;
    const { passed, failed, skipped } = count;
    process.stdout.write(
      `${passed.toString()} passed, ${failed.toString()} failed, ${skipped.toString()} skipped\n`,
    );
  },
};

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/global-setup.ts",
    // A flow runs the real CLI several times.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    reporters: ["default", plainSummary],
  },
});
