import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(__dirname, "../../..");
const LISTENING = /Server listening at (http:\/\/127\.0\.0\.1:\d+)/;

export interface Main {
  readonly url: string;
  stop(): Promise<void>;
}

/** `node --import tsx examples/backend/main.ts`, as its README says, with nothing else of this process's environment. */
export async function startMain(
  variables: Readonly<Record<string, string>>,
  log: string[],
  { cwd = root, args = ["--import", "tsx", "examples/backend/main.ts"] } = {},
): Promise<Main> {
  const { PATH = "", HOME = "" } = process.env;
  const main = spawn(process.execPath, args, {
    cwd,
    env: { PATH, HOME, PORT: "0", ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(main, "close");
  const url = new Promise<string>((found) => {
    for (const stream of [main.stdout, main.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        log.push(`${line}\n`);
        const [, at] = LISTENING.exec(line) ?? [];
        if (at !== undefined) found(at);
      });
    }
  });
  const never = ended.then((): never => {
    throw new Error(`The backend ended at once:\n${log.join("")}`);
  });
  never.catch(() => undefined);
  return {
    url: await Promise.race([url, never]),
    async stop() {
      main.kill("SIGTERM");
      await ended;
    },
  };
}
