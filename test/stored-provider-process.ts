import { createRequire } from "node:module";
import { join } from "node:path";
import { runInNewContext } from "node:vm";

import type { dynamic } from "@pulumi/pulumi";
import { z } from "zod";

/** What the engine calls of a provider, with the arguments as they come. */
const callSchema = z.discriminatedUnion("method", [
  z.object({ method: z.literal("diff"), id: z.string(), olds: z.unknown(), news: z.unknown() }),
  z.object({ method: z.literal("read"), id: z.string(), props: z.unknown() }),
  z.object({ method: z.literal("delete"), id: z.string(), props: z.unknown() }),
]);

// The engine's side of one resource: evaluates the code that its state holds, and hands on one call after another.
const stored: { handler?: () => dynamic.ResourceProvider } = {};
runInNewContext(process.argv[3] ?? "", {
  exports: stored,
  require: createRequire(join(process.cwd(), "index.ts")),
});
const provider = stored.handler?.();

async function answer(message: unknown): Promise<unknown> {
  const call = callSchema.parse(message);
  if (call.method === "diff") return provider?.diff?.(call.id, call.olds, call.news);
  if (call.method === "read") return provider?.read?.(call.id, call.props);
  return provider?.delete?.(call.id, call.props);
}

process.on("message", (message) => {
  void answer(message).then(
    (answer) => process.send?.({ answer: answer ?? null }),
    (error: unknown) => process.send?.({ failure: error instanceof Error ? error.message : String(error) }),
  );
});
void provider
  ?.configure?.({ config: { get: () => undefined, require: () => "" } })
  .then(() => process.send?.({ answer: null }));
