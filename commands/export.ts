import { stringify as toCsv } from "csv-stringify/sync";
import { stringify as toYaml } from "yaml";

import { MigrationError } from "../providers/errors";
import { ledgerForgets } from "../providers/lost-migration";
import { columnsOf, type Entry, lists, supportList } from "../providers/support-lists";
import { command } from "./command";
import { planOf } from "./plan-of-stack";
import { writePrivately } from "./private-file";
import { settingsOfStack, stackFlags } from "./settings";

const formats = {
  // What begins like a formula would be one in a spreadsheet.
  csv: (entries: readonly Entry[], columns: readonly string[]) =>
    toCsv([...entries], { header: true, columns: [...columns], escape_formulas: true }),
  json: (entries: readonly Entry[]) => `${JSON.stringify(entries, undefined, 2)}\n`,
  yaml: (entries: readonly Entry[]) => toYaml(entries),
};

/**
 * `npm run export -- --what failed|blocked|stragglers|migrated|new-password [--format csv|json|yaml] [--out FILE] [--reveal]`: lists for
 * support; the list may be named alone, too. Addresses are masked without `--reveal`; a file is readable by its owner alone.
 */
const exportList = {
  usage: "npm run export",
  says: "Writes a list for support: of users who failed, are blocked, have not signed in, are migrated, or set a new password.",
  operand: "list",
  flags: {
    ...stackFlags,
    what: { type: "string", value: "list", says: lists.join(", ") },
    format: { type: "string", default: "csv", value: "format", says: Object.keys(formats).join(", ") },
    out: { type: "string", value: "file", says: "into a file that only its owner can read" },
    reveal: { type: "boolean", default: false, says: "whole addresses" },
  },
} as const;

void command(exportList, async (values, [named]) => {
  const list = lists.find((known) => known === (values.what ?? named));
  if (list === undefined) throw unknown("what", lists);
  if (!isFormat(values.format)) throw unknown("format", Object.keys(formats));
  const chosen = await settingsOfStack(values);
  const settings = { ...chosen.settings, reveal: values.reveal };
  const { world, plan } = await planOf({ ...chosen, settings });
  const forgets = ledgerForgets(world);
  // Who is blocked, the plan says alone.
  if (forgets !== undefined && list !== "blocked") throw forgets;
  const entries = supportList(list, world, plan);
  const text = formats[values.format](entries, columnsOf[list]);
  if (values.out === undefined) process.stdout.write(text);
  else await writePrivately(values.out, text);
  process.stderr.write(`${entries.length.toString()} users.\n`);
  return 0;
});

function isFormat(word: string): word is keyof typeof formats {
  return word in formats;
}

function unknown(flag: string, known: readonly string[]): MigrationError {
  return new MigrationError(
    "export",
    `--${flag} has to be one of ${known.join(", ")}.`,
    `Say --${flag} <one of them>.`,
  );
}
