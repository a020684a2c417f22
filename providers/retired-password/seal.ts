import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

import { MigrationError } from "../errors";

/** What seals digests. Its id says which key it is, and nothing of the key. */
export interface SealKey {
  readonly id: string;
  readonly bytes: Buffer;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** 32 bytes in base64. Throws a sentence that names the variable and says how to make one. */
export function parseSealKey(text: string | undefined, variable = "DIGEST_SEAL_KEY"): SealKey {
  const make = `Make one with \`openssl rand -base64 32\`, keep it where you keep your secrets, and set it in the environment.`;
  if (text === undefined || text.trim() === "")
    throw new MigrationError("seal-key", `${variable} is not set: it seals digests that are retired.`, make);
  const bytes = Buffer.from(text.trim(), "base64");
  // Node reads any text as base64, and leaves out what is none.
  if (bytes.length !== KEY_BYTES || bytes.toString("base64") !== text.trim())
    throw new MigrationError("seal-key", `${variable} is not a key: it has to be 32 bytes in base64.`, make);
  return {
    id: createHash("sha256").update("clerk-migration seal key").update(bytes).digest("hex").slice(0, 12),
    bytes,
  };
}

/** AES-256-GCM, bound to the user: nonce, text and tag. */
export function seal({ bytes }: SealKey, userId: string, digest: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", bytes, nonce).setAAD(Buffer.from(userId));
  return Buffer.concat([nonce, cipher.update(digest, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** Throws where it was sealed by another key, or for another user, or has been changed. */
export function unseal(key: SealKey, userId: string, sealed: Buffer): string {
  const decipher = createDecipheriv("aes-256-gcm", key.bytes, sealed.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(userId))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const text = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(text), decipher.final()]).toString("utf8");
  } catch {
    throw new MigrationError(
      "sealed-digest",
      `User ${userId}: the sealed digest does not open with the key ${key.id}; it is another user's, or has been changed.`,
      "Restore the ledger's row from a backup, or keep the user in Clerk.",
    );
  }
}

/** Before anything is changed: the key that sealed it has to be the one that is set. */
export function requireKey(key: SealKey, userId: string, keyId: string | null): void {
  if (key.id === keyId) return;
  throw new MigrationError(
    "other-seal-key",
    `User ${userId}: the digest is sealed with the key ${keyId ?? "unknown"}, and DIGEST_SEAL_KEY is the key ${key.id}.`,
    "Set the key that sealed it; `npm run rotate-seal-key` moves everything from one key to another.",
  );
}
