import { isOurs } from "../clerk/user";
import type { LedgerUser } from "../postgres/ledger";
import type { World } from "../world";
import type { Judged } from "./reasons";

/**
 * Whether the Clerk account of this user was there before us, or is about to be taken over: such people are told nothing, and set no
 * password. Where the ledger does not know it, because it is lost or a run was cut off before it could note it, the account itself says so.
 */
export function hadAccount(
  world: Pick<World, "clerk" | "migrationId" | "stacks">,
  { userId, email }: { readonly userId: string; readonly email: string },
  held: LedgerUser | undefined,
  { verdict, adopt }: Judged,
): boolean {
  if (verdict === "adopt" || held?.origin === "adopted") return true;
  const { byId, byExternalId, byAddress } = world.clerk;
  const known = [byId.get(adopt ?? ""), byExternalId.get(userId), byAddress.get(email)];
  return known.some((live) => {
    if (live === undefined) return false;
    return isOurs(live, userId, world) ? live.mark?.adopted === true : live.id === adopt;
  });
}
