import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { z } from "zod";

import { sandboxEnvironment } from "../sandbox/workspace";

/** A provider as the engine runs it: in a process of its own, from the code that a state holds. */
export interface StoredProvider {
  diff(id: string, olds: object, news: object): Promise<{ readonly changes: boolean }>;
  read(id: string, props: object): Promise<{ readonly id: string; readonly props: Record<string, unknown> }>;
  delete(id: string, props: object): Promise<void>;
  close(): Promise<void>;
}

const messageSchema = z.union([z.object({ answer: z.unknown() }), z.object({ failure: z.string() })]);

/** Rejects a call with what the engine would print. */
export async function startStoredProvider(
  pointer: string,
  settings: Readonly<Record<string, string>>,
): Promise<StoredProvider> {
  // Behind the engine's address: that of a command without a program.
  const child = fork(join(__dirname, "stored-provider-process.ts"), ["127.0.0.1:1", pointer], {
    cwd: join(__dirname, ".."),
    env: sandboxEnvironment(process.env, settings),
    execArgv: ["--import", "tsx", "--stack-trace-limit=0"],
    // An end of standard input would tell that the engine is gone.
    stdio: ["pipe", "inherit", "inherit", "ipc"],
  });
  const answer = async (): Promise<unknown> => {
    const ended = once(child, "exit").then(() => [{ failure: "The provider's process has ended." }]);
    const [message]: unknown[] = await Promise.race([once(child, "message"), ended]);
    const parsed = messageSchema.parse(message);
    if ("failure" in parsed) throw new Error(parsed.failure);
    return parsed.answer;
  };
  const call = (message: object) => {
    child.send(message);
    return answer();
  };
  await answer();
  return {
    diff: async (id, olds, news) =>
      z.object({ changes: z.boolean() }).parse(await call({ method: "diff", id, olds, news })),
    read: async (id, props) =>
      z
        .object({ id: z.string(), props: z.record(z.string(), z.unknown()) })
        .parse(await call({ method: "read", id, props })),
    delete: async (id, props) => {
      await call({ method: "delete", id, props });
    },
    async close() {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, "exit");
    },
  };
}
