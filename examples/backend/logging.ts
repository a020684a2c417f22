import { isClerkAPIResponseError } from "@clerk/backend/errors";
import type { FastifyRequest } from "fastify";

/** Where log lines go besides standard output, for tests. */
export interface LogStream {
  write(line: string): void;
}

/**
 * Nothing that a client sends reaches the log: of a request only its method and the route that it met, never a path,
 * a query, a header or a body.
 */
export function loggerOptions(stream?: LogStream) {
  return {
    level: "info",
    redact: ["req.headers", "req.body", "password", "token", "email", "*.password", "*.token", "*.email"],
    serializers: {
      req: (request: FastifyRequest) => ({
        method: request.method,
        route: request.routeOptions.url ?? "none",
      }),
      err: describeError,
    },
    ...(stream === undefined ? {} : { stream }),
  };
}

/** Kind, code and place of an error. Its message may quote what a client or a row says. */
export function describeError(error: unknown) {
  if (!(error instanceof Error)) return { type: typeof error, message: "", stack: "" };
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return { type: error.name, message: codesOf(error).join(", "), stack: frames.join("\n") };
}

function codesOf(error: Error): string[] {
  if (isClerkAPIResponseError(error)) return error.errors.map((one) => one.code);
  return "code" in error && typeof error.code === "string" ? [error.code] : [];
}
