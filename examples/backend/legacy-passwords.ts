import { compare, hash } from "bcryptjs";

const bcryptShape = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;

/** bcrypt reads no further. */
export const LONGEST_PASSWORD_BYTES = 72;

/** Whether `comparePassword` knows what to do with it. */
export function isDigest(text: string | null): text is string {
  return text !== null && bcryptShape.test(text);
}

/** Takes as long for a wrong password as for the right one. */
export function comparePassword(password: string, digest: string): Promise<boolean> {
  // bcryptjs knows no $2y$, which names the same algorithm as $2b$.
  return compare(password, digest.replace(/^\$2y\$/, "$2b$"));
}

export function digestOf(password: string, cost: number): Promise<string> {
  return hash(password, cost);
}

/** Nobody's digest: compared with where there is none, so that the answer takes as long. */
export function dummyDigest(cost: number): string {
  return `$2b$${cost.toString().padStart(2, "0")}$${"x".repeat(53)}`;
}
