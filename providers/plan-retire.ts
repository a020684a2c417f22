import type { PlannedUser, RetirePart } from "./planned";
import type { RetiredPasswordInputs } from "./retired-password/inputs";
import { type Retire, retireByClerk, retireByRecord } from "./verdicts/retire";
import { rowsById } from "./verdicts/same-id";
import type { PlanSettings, World } from "./world";

/** Whose digest this run takes out of the table, and whose is out already: both stay declared. */
export function withRetirement<T extends Pick<PlannedUser, "userId" | "declared">>(
  world: World,
  settings: PlanSettings,
  users: readonly T[],
): (T & RetirePart)[] {
  const rows = rowsById(world);
  return users.map((user) => {
    const row = rows.get(user.userId);
    const held = world.ledger.users.get(user.userId);
    const entry = world.ledger.retired.get(user.userId);
    if (user.declared === null || held?.stack !== world.stack)
      return { ...user, retire: "never", retirement: null };
    const arrived = world.arrivals.get(held.clerkUserId ?? "");
    const byRecord = retireByRecord(row, held, entry, arrived, settings, world.now);
    const retire: Retire = retireByClerk(byRecord, held.clerkUserId, world.retire);
    const isDeclared = retire === "now" || retire === "retired" || retire === "purged";
    const { userId, label, stack, migrationId } = user.declared;
    const retirement: RetiredPasswordInputs | null = isDeclared
      ? {
          ...{ userId, label, stack, migrationId },
          digestFingerprint: (retire === "now" ? row?.digest?.fingerprint : entry?.digestFingerprint) ?? "",
          attempt: entry?.attempt ?? 1,
        }
      : null;
    return { ...user, retire, retirement };
  });
}
