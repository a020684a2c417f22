import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A Chromium on the PATH, or one that Playwright has fetched. undefined where there is none. */
export function findChromium(): string | undefined {
  const onPath = (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((directory) => names.map((name) => join(directory, name)));
  const cache = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), ".cache/ms-playwright");
  const fetched = (existsSync(cache) ? readdirSync(cache) : [])
    .filter((name) => name.startsWith("chromium"))
    .flatMap((name) =>
      ["chrome-linux/chrome", "chrome-linux64/chrome", "chrome-linux/headless_shell"].map((binary) =>
        join(cache, name, binary),
      ),
    );
  return [...onPath, ...fetched].find((path) => existsSync(path));
}
