import { z } from "zod";

import { checkAccess } from "../access";
import { type Call, json, type Route } from "../call";
import { checkUnclaimed } from "../claims";
import { lastIdentification, notFound } from "../errors";
import { newId } from "../ids";
import type { Instance } from "../instance";
import { emailAddress, parse } from "../parameters";
import type { EmailAddress, User } from "../records";
import { deletedJson, emailAddressJson } from "../user-json";
import { tellOfNewPrimary, userById, userOf } from "./users";

const newAddress = z.object({
  user_id: z.string(),
  email_address: z.string(),
  verified: z.boolean().nullish(),
  primary: z.boolean().nullish(),
  notify_primary_email_address_changed: z.boolean().nullish(),
});

const changedAddress = newAddress.omit({ user_id: true, email_address: true });

const replacement = z.strictObject({
  email_address: z.string(),
  identification_status: z.enum(["verified", "reserved", "unverified"]).default("verified"),
  notify_primary_email_address_changed: z.boolean().nullish(),
});

export const emailAddressRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/email_addresses",
    handle(instance, call) {
      const given = parse(newAddress, call.body);
      const user = userById(instance, given.user_id);
      const address = addressFor(instance, given.email_address, given.verified ? "verified" : "unverified");
      const primary = given.primary === true || user.primaryEmailAddressId === null;
      keep(instance, user, {
        emailAddresses: [...user.emailAddresses, address],
        primaryEmailAddressId: primary ? address.id : user.primaryEmailAddressId,
        notify: given.notify_primary_email_address_changed,
      });
      return json(emailAddressJson(address));
    },
  },
  {
    method: "GET",
    path: "/email_addresses/{email_address_id}",
    handle: (instance, call) => json(emailAddressJson(addressOf(instance, call).address)),
  },
  {
    method: "PATCH",
    path: "/email_addresses/{email_address_id}",
    handle(instance, call) {
      const { user, address } = addressOf(instance, call);
      const given = parse(changedAddress, call.body);
      const changed: EmailAddress = {
        ...address,
        ...(given.verified != null && {
          status: given.verified ? ("verified" as const) : ("unverified" as const),
        }),
        updatedAt: instance.now(),
      };
      keep(instance, user, {
        emailAddresses: user.emailAddresses.map((other) => (other.id === changed.id ? changed : other)),
        primaryEmailAddressId: given.primary ? changed.id : user.primaryEmailAddressId,
        notify: given.notify_primary_email_address_changed,
      });
      return json(emailAddressJson(changed));
    },
  },
  {
    method: "DELETE",
    path: "/email_addresses/{email_address_id}",
    handle(instance, call) {
      const { user, address } = addressOf(instance, call);
      const emailAddresses = user.emailAddresses.filter((other) => other.id !== address.id);
      const isLast = emailAddresses.length + user.phoneNumbers.length === 0 && user.username === null;
      if (isLast) throw lastIdentification();
      const wasPrimary = user.primaryEmailAddressId === address.id;
      keep(instance, user, {
        emailAddresses,
        primaryEmailAddressId: wasPrimary ? (emailAddresses[0]?.id ?? null) : user.primaryEmailAddressId,
      });
      return json(deletedJson("email_address", address.id));
    },
  },
  {
    method: "PUT",
    path: "/users/{user_id}/email_address",
    handle(instance, call) {
      const user = userOf(instance, call);
      const given = parse(replacement, call.body);
      const address = addressFor(instance, given.email_address, given.identification_status);
      keep(instance, user, {
        emailAddresses: [address],
        primaryEmailAddressId: address.id,
        notify: given.notify_primary_email_address_changed,
      });
      return json(emailAddressJson(address));
    },
  },
];

function addressFor(instance: Instance, given: string, status: EmailAddress["status"]): EmailAddress {
  const normalised = emailAddress(given);
  checkAccess(instance, normalised);
  const now = instance.now();
  return {
    id: newId("idn"),
    emailAddress: normalised,
    status,
    strategy: "admin",
    createdAt: now,
    updatedAt: now,
  };
}

function addressOf({ store }: Instance, call: Call): { user: User; address: EmailAddress } {
  const id = call.param("email_address_id");
  for (const user of store.users.values()) {
    const address = user.emailAddresses.find((candidate) => candidate.id === id);
    if (address) return { user, address };
  }
  throw notFound("email address", id);
}

interface AddressChanges {
  readonly emailAddresses: readonly EmailAddress[];
  readonly primaryEmailAddressId: string | null;
  readonly notify?: boolean | null | undefined;
}

function keep(instance: Instance, before: User, { notify, ...changes }: AddressChanges): void {
  const after: User = { ...before, ...changes, updatedAt: instance.now() };
  checkUnclaimed(instance, after);
  instance.store.putUser(after);
  if (notify) tellOfNewPrimary(instance, before, after);
}
