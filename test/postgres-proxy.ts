import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

import { z } from "zod";

/** What happens to the connection that sends a statement containing `on`. */
export interface PostgresFault {
  readonly on: string;
  /** Cut: before the server sees the statement, or after it has answered and before the client hears of it. */
  readonly effect: "cut-before" | "cut-after" | { readonly delayMs: number };
  /** Statements that pass first. @default 0 */
  readonly skip?: number;
  /** @default 1 */
  readonly times?: number;
}

export interface PostgresProxy {
  readonly url: string;
  add(fault: PostgresFault): void;
  clear(): void;
  /** How many faults are still to come. */
  pending(): number;
  stop(): Promise<void>;
}

/** Stands between a client and a real Postgres, and disturbs the connections that send a given statement. */
export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const target = new URL(databaseUrl);
  const faults: { on: string; effect: PostgresFault["effect"]; skip: number; times: number }[] = [];
  const sockets = new Set<Socket>();

  const strike = (data: Buffer): PostgresFault["effect"] | undefined => {
    const fault = faults.find(({ on, times }) => times > 0 && data.includes(on));
    if (fault === undefined) return undefined;
    if (fault.skip > 0) {
      fault.skip--;
      return undefined;
    }
    fault.times--;
    return fault.effect;
  };

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", cut).on("close", () => {
        sockets.delete(socket);
        cut();
      });
    }
    let isAnswerLost = false;
    client.on("data", (data) => {
      const effect = strike(data);
      if (effect === "cut-after") isAnswerLost = true;
      if (effect === "cut-before") cut();
      else if (typeof effect === "object") setTimeout(() => upstream.write(data), effect.delayMs);
      else upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (isAnswerLost) cut();
      else client.write(data);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = z.object({ port: z.number() }).parse(server.address());
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${port.toString()}`;
  return {
    url: url.href,
    add({ times = 1, skip = 0, ...fault }) {
      faults.push({ ...fault, skip, times });
    },
    clear() {
      faults.length = 0;
    },
    pending: () => faults.reduce((sum, { times }) => sum + times, 0),
    async stop() {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, "close");
    },
  };
}
