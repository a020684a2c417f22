import { taken } from "./errors";
import type { Instance } from "./instance";
import type { User } from "./records";

/** Addresses, phone numbers, username and external id belong to one user of the instance. */
export function checkUnclaimed({ store }: Instance, user: User): void {
  const isOther = (holder: User | undefined) => holder !== undefined && holder.id !== user.id;
  const claimed = user.emailAddresses.filter((address) => address.status !== "unverified");
  const distinct = new Set(claimed.map((address) => address.emailAddress));
  if (distinct.size < claimed.length) throw taken("email_address");
  if (claimed.some((address) => isOther(store.userByEmailAddress(address.emailAddress))))
    throw taken("email_address");
  if (user.phoneNumbers.some((phone) => isOther(store.userByPhoneNumber(phone.phoneNumber))))
    throw taken("phone_number");
  if (user.username !== null && isOther(store.userByUsername(user.username))) throw taken("username");
  if (user.externalId !== null && isOther(store.userByExternalId(user.externalId)))
    throw taken("external_id");
}
