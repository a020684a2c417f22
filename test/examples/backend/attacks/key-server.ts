import { createServer, type IncomingHttpHeaders } from "node:http";

import { exportJWK, exportSPKI, generateKeyPair, type JWTHeaderParameters, SignJWT } from "jose";

const KEY_NAME = "ins_key";

/** A Clerk whose signing key the test holds: so it can sign what Clerk never would. */
export interface KeyServer {
  /** For CLERK_API_URL: everything but the keys comes from `clerkUrl`. */
  readonly url: string;
  readonly publicPem: string;
  /** How often the keys were asked for. */
  readonly asked: () => number;
  /** What the next requests for the keys get instead. */
  fail(status: number | undefined): void;
  sign(claims: Readonly<Record<string, unknown>>, header?: Partial<JWTHeaderParameters>): Promise<string>;
  stop(): Promise<void>;
}

export async function startKeyServer(clerkUrl: string): Promise<KeyServer> {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const keys = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: KEY_NAME, alg: "RS256", use: "sig" }],
  });
  let [asked, failure]: [number, number | undefined] = [0, undefined];

  const server = createServer((request, response) => {
    const answer = async () => {
      if (request.url === "/v1/jwks") {
        asked += 1;
        response.writeHead(failure ?? 200, { "content-type": "application/json" });
        response.end(failure === undefined ? keys : JSON.stringify({ errors: [] }));
        return;
      }
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
      const passed = await fetch(`${clerkUrl}${request.url ?? "/"}`, {
        method: request.method ?? "GET",
        headers: passedOn(request.headers),
        ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
      });
      response.writeHead(passed.status, { "content-type": "application/json" });
      response.end(await passed.text());
    };
    answer().catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The key server has no port.");

  return {
    url: `http://127.0.0.1:${address.port.toString()}`,
    publicPem: await exportSPKI(publicKey),
    asked: () => asked,
    fail: (status) => {
      failure = status;
    },
    sign: (claims, header) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: KEY_NAME, ...header })
        .sign(privateKey),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    ["authorization", "content-type", "clerk-api-version"].flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}
