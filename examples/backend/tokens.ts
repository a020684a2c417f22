import { createHash, randomBytes } from "node:crypto";

/** 256 random bits, as text that fits into cookies and links. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** What is stored of a token. Unsalted is enough: nobody can guess 256 bits. */
export function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
