import { z } from "zod";

import { type Answer, type Call, json, type Route } from "../call";
import {
  bulkSizeExceeded,
  duplicateInvitations,
  invitationAccepted,
  invitationAlreadyRevoked,
  invitationsNotSupported,
  notFound,
  taken,
  valueNotAllowed,
} from "../errors";
import { base62, newId } from "../ids";
import type { Instance } from "../instance";
import { sendMail } from "../outbox";
import { checkMetadata, emailAddress, metadata, parse } from "../parameters";
import { booleanOf, orderOf, pageOf, pick } from "../query";
import type { Invitation } from "../records";
import { ticketUrl } from "../tickets";
import { deletedJson } from "../user-json";

const DAY = 24 * 3_600_000;
const DEFAULT_DAYS = 30;
const STATUSES = ["pending", "accepted", "revoked", "expired"];

const newInvitation = z.strictObject({
  email_address: z.string(),
  public_metadata: metadata.nullish(),
  redirect_url: z.string().nullish(),
  notify: z.boolean().nullish(),
  ignore_existing: z.boolean().nullish(),
  expires_in_days: z.int().min(1).max(365).nullish(),
  template_slug: z.enum(["invitation", "waitlist_invitation"]).optional(),
});

type NewInvitation = z.infer<typeof newInvitation>;

export const invitationRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/invitations",
    handle(instance, call) {
      const given = normalised(parse(newInvitation, call.body));
      checkSupported(instance);
      checkInvitable(instance, [given], { ignoreExistingUser: given.ignore_existing === true });
      return json(invitationJson(instance, invite(instance, given)));
    },
  },
  { method: "POST", path: "/invitations/bulk", handle: inviteInBulk },
  { method: "GET", path: "/invitations", handle: listInvitations },
  { method: "POST", path: "/invitations/{invitation_id}/revoke", handle: revokeInvitation },
  {
    // Not in Clerk's reference, but in its SDK.
    method: "DELETE",
    path: "/invitations/{invitation_id}",
    handle(instance, call) {
      const { id } = invitationOf(instance, call);
      instance.store.invitations.delete(id);
      return json(deletedJson("invitation", id));
    },
  },
];

/** All or none: Clerk does not say what one bad address does to the others. */
function inviteInBulk(instance: Instance, call: Call): Answer {
  const { invitationsPerBulk } = instance.limits;
  if (Array.isArray(call.body) && call.body.length > invitationsPerBulk)
    throw bulkSizeExceeded(invitationsPerBulk);
  const all = parse(z.array(newInvitation).min(1), call.body).map(normalised);
  checkSupported(instance);
  // The reference: no existing user, "and this rule cannot be bypassed".
  checkInvitable(instance, all, { ignoreExistingUser: false });
  return json(all.map((given) => invitationJson(instance, invite(instance, given))));
}

function normalised(given: NewInvitation): NewInvitation {
  return { ...given, email_address: emailAddress(given.email_address) };
}

function checkSupported(instance: Instance): void {
  if (!instance.settings.attributes.email_address.enabled) throw invitationsNotSupported();
}

function checkInvitable(
  instance: Instance,
  all: readonly NewInvitation[],
  { ignoreExistingUser }: { ignoreExistingUser: boolean },
): void {
  const { store } = instance;
  for (const given of all) {
    checkMetadata(instance, { public_metadata: given.public_metadata ?? {} });
    if (!ignoreExistingUser && store.userByEmailAddress(given.email_address)) throw taken("email_address");
  }
  const wanted = new Set(all.filter((given) => !given.ignore_existing).map((given) => given.email_address));
  if (wanted.size === 0) return;
  const duplicates = [...store.invitations.values()]
    .filter(
      (invitation) => wanted.has(invitation.emailAddress) && statusOf(instance, invitation) === "pending",
    )
    .map((invitation) => invitation.emailAddress);
  if (duplicates.length > 0) throw duplicateInvitations(duplicates);
}

function invite(instance: Instance, given: NewInvitation): Invitation {
  const now = instance.now();
  const ticket = base62(48);
  const invitation: Invitation = {
    id: newId("inv"),
    emailAddress: given.email_address,
    publicMetadata: given.public_metadata ?? {},
    status: "pending",
    ticket,
    url: ticketUrl(instance, ticket),
    redirectUrl: given.redirect_url ?? null,
    expiresAt: now + (given.expires_in_days ?? DEFAULT_DAYS) * DAY,
    createdAt: now,
    updatedAt: now,
  };
  instance.store.invitations.set(invitation.id, invitation);
  if (given.notify !== false) {
    sendMail(instance, invitation.emailAddress, given.template_slug ?? "invitation", invitation.url);
  }
  return invitation;
}

/** Everything but the revoked ones, unless a status is asked for. */
function listInvitations(instance: Instance, { query }: Call): Answer {
  const status = query.get("status");
  if (status !== null && !STATUSES.includes(status)) throw valueNotAllowed("status", status, STATUSES);
  const wanted = query.get("query")?.toLowerCase();
  const matches = [...instance.store.invitations.values()]
    .filter((invitation) =>
      status === null ? invitation.status !== "revoked" : statusOf(instance, invitation) === status,
    )
    .filter(
      (invitation) =>
        !wanted || invitation.emailAddress.includes(wanted) || invitation.id.toLowerCase() === wanted,
    );
  const { field, descending } = orderOf(query, ["created_at", "email_address", "expires_at"]);
  const keyOf = (invitation: Invitation) =>
    field === "email_address"
      ? invitation.emailAddress
      : field === "expires_at"
        ? invitation.expiresAt
        : invitation.createdAt;
  const sign = descending ? -1 : 1;
  matches.sort((a, b) => (keyOf(a) < keyOf(b) ? -sign : keyOf(a) > keyOf(b) ? sign : 0));
  const data = pick(matches, pageOf(query)).map((invitation) => invitationJson(instance, invitation));
  return json(booleanOf(query, "paginated") ? { data, total_count: matches.length } : data);
}

function revokeInvitation(instance: Instance, call: Call): Answer {
  const invitation = invitationOf(instance, call);
  if (invitation.status === "accepted") throw invitationAccepted();
  if (invitation.status === "revoked") throw invitationAlreadyRevoked();
  const revoked: Invitation = { ...invitation, status: "revoked", updatedAt: instance.now() };
  instance.store.invitations.set(revoked.id, revoked);
  return json(invitationJson(instance, revoked));
}

function invitationOf({ store }: Instance, call: Call): Invitation {
  const id = call.param("invitation_id");
  const invitation = store.invitations.get(id);
  if (!invitation) throw notFound("invitation", id);
  return invitation;
}

export function statusOf(
  instance: Instance,
  { status, expiresAt }: Invitation,
): Invitation["status"] | "expired" {
  return status === "pending" && expiresAt <= instance.now() ? "expired" : status;
}

export function invitationJson(instance: Instance, invitation: Invitation) {
  return {
    object: "invitation",
    id: invitation.id,
    email_address: invitation.emailAddress,
    public_metadata: invitation.publicMetadata,
    revoked: invitation.status === "revoked",
    status: statusOf(instance, invitation),
    url: invitation.url,
    expires_at: invitation.expiresAt,
    created_at: invitation.createdAt,
    updated_at: invitation.updatedAt,
  };
}
