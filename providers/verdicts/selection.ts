import { domainOf, maskedEmail, normalEmail } from "../clerk-user/inputs";
import { MigrationError } from "../errors";
import type { UserRow } from "../postgres/legacy-users";
import type { Settings } from "../settings";
import { judge, type Judgement } from "./reasons";

export type SelectionSettings = Pick<
  Settings,
  "email" | "emails" | "domains" | "exclude" | "where" | "limit" | "percent"
>;

/** Why a new row is not of this wave; undefined where it is. Throws where a single address is asked for and nobody has it. */
export function selectionOf(
  rows: readonly UserRow[],
  settings: SelectionSettings,
): (row: UserRow) => Judgement | undefined {
  const one = settings.email === undefined ? undefined : normalEmail(settings.email);
  if (one !== undefined) refuseNobody(rows, one);
  const emails = new Set(settings.emails.map(normalEmail));
  const domains = new Set(settings.domains);
  const excluded = new Set(settings.exclude.map((item) => item.toLowerCase().replace(/^\*@/, "@")));
  const isOpen = emails.size === 0 && domains.size === 0;

  return (row) => {
    const address = normalEmail(row.email ?? "");
    const domain = domainOf(address);
    if ([row.userId.toLowerCase(), address, `@${domain}`].some((item) => excluded.has(item)))
      return judge("left-out");
    if (one !== undefined && address !== one) return judge("not-asked");
    if (!row.isSelected || !(isOpen || emails.has(address) || domains.has(domain)))
      return judge("not-selected");
    return undefined;
  };
}

/** Also matches linked and held rows: that somebody is done already is no error. */
function refuseNobody(rows: readonly UserRow[], wanted: string): void {
  if (rows.some((row) => normalEmail(row.email ?? "") === wanted)) return;
  throw new MigrationError(
    "nobody",
    `No row of the users table has the address asked for (${maskedEmail(wanted)}).`,
    "Correct MIGRATE_EMAIL, or the setting `email`.",
  );
}

/**
 * How many new users the wave still takes. Limit and percent bound the whole set, those held included, so that a
 * second `up` does not take the next ones.
 */
export function waveRoom(
  { limit, percent }: Pick<Settings, "limit" | "percent">,
  held: number,
  candidates: number,
): number {
  const byLimit = limit === 0 ? Infinity : limit;
  const byPercent = Math.ceil(((held + candidates) * percent) / 100);
  return Math.max(0, Math.min(byLimit, byPercent) - held);
}
