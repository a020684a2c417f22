import { z } from "zod";

import { type Answer, type Call, json, type Route } from "../call";
import type { Instance } from "../instance";
import { checkMetadata, metadata, parse } from "../parameters";
import type { Metadata } from "../records";
import { userJson } from "../user-json";
import { userOf } from "./users";

const changedMetadata = z.strictObject({
  public_metadata: metadata.optional(),
  private_metadata: metadata.optional(),
  unsafe_metadata: metadata.optional(),
});

export const metadataRoutes: readonly Route[] = [
  {
    method: "PATCH",
    path: "/users/{user_id}/metadata",
    handle: (instance, call) => changeMetadata(instance, call, merged),
  },
  {
    method: "PUT",
    path: "/users/{user_id}/metadata",
    handle: (instance, call) => changeMetadata(instance, call, (_before, given) => given),
  },
];

function changeMetadata(
  instance: Instance,
  call: Call,
  combine: (before: Metadata, given: Metadata) => Metadata,
): Answer {
  const user = userOf(instance, call);
  const given = parse(changedMetadata, call.body);
  const result = (before: Metadata, change: Metadata | undefined) =>
    change ? combine(before, change) : before;
  const after = {
    publicMetadata: result(user.publicMetadata, given.public_metadata),
    privateMetadata: result(user.privateMetadata, given.private_metadata),
    unsafeMetadata: result(user.unsafeMetadata, given.unsafe_metadata),
  };
  checkMetadata(instance, {
    public_metadata: after.publicMetadata,
    private_metadata: after.privateMetadata,
    unsafe_metadata: after.unsafeMetadata,
  });
  return json(userJson(instance.store.changeUser(user.id, { ...after, updatedAt: instance.now() })));
}

/** Deep: objects are merged key by key, null removes a key, everything else replaces. */
function merged(before: Metadata, given: Metadata): Metadata {
  const result: Record<string, Metadata[string]> = { ...before };
  for (const [key, value] of Object.entries(given)) {
    const existing = result[key];
    if (value === null) Reflect.deleteProperty(result, key);
    else if (isObject(value) && isObject(existing)) result[key] = { ...merged(existing, value) };
    else result[key] = value;
  }
  return result;
}

function isObject(value: Metadata[string] | undefined): value is Record<string, Metadata[string]> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
