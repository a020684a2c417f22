import type { ClerkFacts } from "./clerk/facts";
import type { UserRow } from "./postgres/legacy-users";

/**
 * The migration id of a ledger that is gone, from the marks of those who carry a row's id: the one that most of them have.
 * Empty where nobody has any.
 */
export function migrationIdInMarks(
  rows: readonly UserRow[],
  { byId, byExternalId }: Pick<ClerkFacts, "byId" | "byExternalId">,
): string {
  const counts = new Map<string, number>();
  for (const { userId, clerkUserId } of rows) {
    const live = (clerkUserId === null ? undefined : byId.get(clerkUserId)) ?? byExternalId.get(userId);
    const id = live?.externalId === userId ? live.mark?.migration : undefined;
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a);
  return most?.[0] ?? "";
}
