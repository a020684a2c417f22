import { createHmac, randomBytes } from "node:crypto";

import { base62 } from "./ids";
import type { Session, User } from "./records";
import type { LocalClerk } from "./server";
import { sessionJson } from "./sessions";
import { userJson } from "./user-json";

/** What happened, as the envelope names it. */
export interface WebhookEvent {
  readonly type: string;
  readonly data: object;
}

/** A delivery, signed as Svix signs them. The same one sent twice is a replay. */
export interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function newSigningSecret(): string {
  return `whsec_${randomBytes(24).toString("base64")}`;
}

export function sessionCreated({ store }: LocalClerk, session: Session): WebhookEvent {
  const user = store.users.get(session.userId);
  return { type: "session.created", data: { ...sessionJson(session), user: user ? userJson(user) : null } };
}

export function userEvent(type: "user.created" | "user.updated", user: User): WebhookEvent {
  return { type, data: userJson(user) };
}

/** `at` is the time of the delivery, in milliseconds. */
export function signed(
  clerk: Pick<LocalClerk, "instanceId">,
  secret: string,
  event: WebhookEvent,
  at = Date.now(),
): Delivery {
  const id = `msg_${base62(27)}`;
  const timestamp = Math.floor(at / 1000).toString();
  const body = JSON.stringify({
    object: "event",
    type: event.type,
    data: event.data,
    event_attributes: { http_request: { client_ip: "", user_agent: "" } },
    instance_id: clerk.instanceId,
    timestamp: at,
  });
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return {
    headers: {
      "content-type": "application/json",
      "svix-id": id,
      "svix-timestamp": timestamp,
      "svix-signature": `v1,${signature}`,
    },
    body,
  };
}
