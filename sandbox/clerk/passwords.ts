import { checkDigest, digestOf } from "./digests";
import { needs, notTogether, passwordTooShort } from "./errors";
import type { Instance } from "./instance";
import type { Password } from "./records";

const SHORTEST_PASSWORD = 8;

export interface PasswordParameters {
  readonly password?: string | null | undefined;
  readonly password_digest?: string | null | undefined;
  readonly password_hasher?: string | undefined;
  readonly skip_password_checks?: boolean | null | undefined;
}

/** The password a request brings, in the clear or as a digest; null if it brings none. */
export async function passwordFrom(instance: Instance, given: PasswordParameters): Promise<Password | null> {
  const { password, password_digest: digest, password_hasher: hasher } = given;
  if (password != null && digest != null) throw notTogether("password_digest", "password");
  if (digest != null && hasher === undefined) throw needs("password_hasher", "password_digest");
  if (digest == null && hasher !== undefined) throw needs("password_digest", "password_hasher");
  if (digest != null && hasher !== undefined) {
    checkDigest(digest, hasher);
    return { digest, hasher, updatedAt: instance.now() };
  }
  if (password == null) return null;
  if (!given.skip_password_checks && password.length < SHORTEST_PASSWORD) throw passwordTooShort();
  return { digest: await digestOf(password), hasher: "bcrypt", updatedAt: instance.now() };
}
