import { open } from "node:fs/promises";

import { messageOf, MigrationError } from "../providers/errors";

/** Writes a file that only its owner can read, also where one is there already that others may. */
export async function writePrivately(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, "w", 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new MigrationError(
      "file",
      `The file could not be written (${messageOf(error)}).`,
      "Name one in a directory that exists and is yours: --out FILE.",
      { cause: error },
    );
  }
}
