import { randomBytes } from "node:crypto";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Clerk's prefixes: `idn` an e-mail address or phone number, `sit` a sign-in token, `sia` and `sua` attempts. */
type Prefix =
  "user" | "idn" | "inv" | "sit" | "sess" | "client" | "sia" | "sua" | "tok" | "ema" | "dmn" | "ins" | "org";

export function newId(prefix: Prefix): string {
  return `${prefix}_${base62(27)}`;
}

export function base62(length: number): string {
  return Array.from(randomBytes(length), (byte) => BASE62.charAt(byte % 62)).join("");
}
