import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import type { Answer } from "./call";
import { bodyMalformed, bodyTooLarge, contentTypeUnsupported } from "./errors";

const LARGEST_BODY = 1024 * 1024;
/** Longer than any test: a connection closed by the server while it idles looks like a fault that nobody set. */
const KEEP_ALIVE_MS = 600_000;

export interface Listening {
  readonly origin: string;
  stop(): Promise<void>;
}

/** Listens on the loopback interface only. Port 0 takes any free one. */
export async function listen(
  port: number,
  respond: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<Listening> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    respond(request, response).catch((error: unknown) => {
      // A client that hangs up while it is still sending is no failure of ours.
      if (!request.complete) return;
      console.error("The local Clerk failed:", error);
      request.socket.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return { origin: `http://127.0.0.1:${portOf(server)}`, stop: () => stop(server) };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("The local Clerk has no port to listen on.");
  return address.port;
}

async function stop(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

/** The body, read to its end so that the connection stays usable; undefined if it is too large to keep. */
export async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) throw new Error("A request body arrived as something else than bytes.");
    size += chunk.length;
    if (size <= LARGEST_BODY) chunks.push(chunk);
  }
  return size > LARGEST_BODY ? undefined : Buffer.concat(chunks).toString("utf8");
}

/** A body as data. Forms only where browsers send them: the Backend API takes JSON alone. */
export function parseBody(
  text: string | undefined,
  contentType: string | undefined,
  forms: boolean,
): unknown {
  if (text === undefined) throw bodyTooLarge();
  if (text === "") return undefined;
  if (forms && contentType?.startsWith("application/x-www-form-urlencoded")) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  if (!contentType?.startsWith("application/json")) throw contentTypeUnsupported();
  try {
    const parsed: unknown = JSON.parse(text);
    return parsed;
  } catch {
    throw bodyMalformed();
  }
}

export function send(response: ServerResponse, { status, contentType, body, headers }: Answer): void {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
