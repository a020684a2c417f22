import { compare, hash } from "bcryptjs";

import { digestInvalid, valueNotAllowed } from "./errors";
import type { Password } from "./records";

const BCRYPT = String.raw`\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}`;

/** What a digest must look like for each hasher that Clerk knows. Where Clerk does not document the form, anything goes. */
const SHAPES: Readonly<Record<string, RegExp>> = {
  bcrypt: new RegExp(`^${BCRYPT}$`),
  bcrypt_sha256_django: new RegExp(`^bcrypt_sha256\\$${BCRYPT}$`),
  bcrypt_peppered: new RegExp(`^${BCRYPT}\\$.+$`),
  argon2i: /^\$argon2i\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/,
  argon2id: /^\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/,
  pbkdf2_sha1: /^pbkdf2_sha1\$\d+\$[^$]+\$[0-9a-fA-F]+(\$\d+)?$/,
  pbkdf2_sha256: /^pbkdf2_sha256\$\d+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+$/,
  pbkdf2_sha256_django: /^pbkdf2_sha256\$\d+\$[^$]+\$[A-Za-z0-9+/=]+$/,
  pbkdf2_sha512: /^pbkdf2_sha512\$\d+\$[^$]+\$[0-9a-fA-F]+$/,
  pbkdf2_sha512_hex: /^pbkdf2_sha512\$\d+\$[0-9a-fA-F]+\$[0-9a-fA-F]+$/,
  scrypt_firebase: /^[^$]+\$[^$]+\$[^$]+\$[^$]+\$\d+\$\d+$/,
  scrypt_werkzeug: /^(\$|scrypt:)[^$]+\$[^$]+\$[0-9a-fA-F]+$/,
  phpass: /^\$[PH]\$[./A-Za-z0-9]{31}$/,
  md5_phpass: /^\$[PH]\$[./A-Za-z0-9]{31}$/,
  md5: /^[0-9a-fA-F]{32}$/,
  sha256: /^[0-9a-fA-F]{64}$/,
  md5_salted: /^[^$]+\$[0-9a-fA-F]{32}$/,
  sha256_salted: /^[^$]+\$[0-9a-fA-F]{64}$/,
  sha512_symfony: /^sha512_symfony\$\d+\$[^$]*\$.+$/,
  ldap_ssha: /^.+$/,
  awscognito: /^awscognito#[^#]+#[^#]+#.+$/,
};

/** Low on purpose: a sandbox's own passwords need not be slow. Carried digests keep the cost they came with. */
const BCRYPT_COST = 4;

/** Clerk looks at the form of a digest at once, at the password only when somebody signs in. */
export function checkDigest(digest: string, hasher: string): void {
  const shape = SHAPES[hasher];
  if (!shape) throw valueNotAllowed("password_hasher", hasher, Object.keys(SHAPES));
  if (!shape.test(digest)) throw digestInvalid(hasher);
}

export async function digestOf(password: string): Promise<string> {
  return hash(password, BCRYPT_COST);
}

/** Only bcrypt can be verified here; any other hasher answers no. */
export async function isPassword(candidate: string, { digest, hasher }: Password): Promise<boolean> {
  if (hasher !== "bcrypt") return false;
  // bcryptjs knows no $2y$, which names the same algorithm as $2b$.
  return compare(candidate, digest.replace(/^\$2y\$/, "$2b$"));
}
