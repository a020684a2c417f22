import type * as pulumi from "@pulumi/pulumi";

import { ClerkUser } from "./clerk-user/resource";
import type { Migration } from "./migration/resource";
import { Notification } from "./notification/resource";
import type { Plan } from "./planned";
import { RetiredPassword } from "./retired-password/resource";

/**
 * How many resources wait for the engine at most. A URN resolves only when its create has finished: a window keeps
 * memory flat for 100,000 users without starving the limiter, which needs a few dozen under way.
 */
const WINDOW = 300;

/**
 * Declares what the plan says, the next as soon as one settles. Resolves when all have settled; a failed one does
 * not reject, since the engine reports it and the ledger knows why.
 */
export async function declareUsers(plan: Plan, migration: Migration, onDone: () => void): Promise<void> {
  const waiting = new Set<Promise<unknown>>();
  for (const { declared, notifications, retirement } of plan.users) {
    if (declared === null) continue;
    let last: pulumi.CustomResource = new ClerkUser(declared, { parent: migration });
    for (const inputs of notifications)
      last = new Notification(inputs, { parent: migration, dependsOn: last });
    if (retirement !== null) last = new RetiredPassword(retirement, { parent: migration, dependsOn: last });
    const settling: Promise<unknown> = settled(last).finally(() => {
      waiting.delete(settling);
      onDone();
    });
    waiting.add(settling);
    if (waiting.size >= WINDOW) await Promise.race(waiting);
  }
  await Promise.all(waiting);
}

/** Whether the engine has made or kept the resource. In a dry run a new one has no id yet, and counts as not made. */
export async function settled(resource: pulumi.CustomResource): Promise<boolean> {
  // The SDK has this method, and keeps it out of its types: `apply` is never called for a resource that failed.
  const promise: unknown = Reflect.get(resource.id, "promise");
  if (typeof promise !== "function") throw new Error("this version of @pulumi/pulumi has no Output.promise");
  try {
    return typeof (await Reflect.apply(promise, resource.id, [true])) === "string";
  } catch {
    // Reported by the engine, recorded in the ledger.
    return false;
  }
}
