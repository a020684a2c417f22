import { newId } from "./ids";
import type { Instance } from "./instance";
import type { Session, User } from "./records";

/** Clerk's default lifetime of a session. */
const WEEK = 7 * 24 * 3_600_000;
const DAY = 24 * 3_600_000;

export interface SignedIn {
  readonly user: User;
  readonly session: Session;
  readonly token: string;
}

/**
 * The user is in: a session, a token for it, and the marks that tell a migration of it. The token is made for `origin`, the
 * page that asked.
 */
export async function openSession(
  instance: Instance,
  userId: string,
  origin: string | undefined,
): Promise<SignedIn> {
  const now = instance.now();
  const user = instance.store.changeUser(userId, {
    lastSignInAt: now,
    // Clerk keeps this one to the day.
    lastActiveAt: now - (now % DAY),
    updatedAt: now,
  });
  const session: Session = {
    id: newId("sess"),
    userId,
    clientId: newId("client"),
    status: "active",
    createdAt: now,
    updatedAt: now,
    expireAt: now + WEEK,
  };
  instance.store.sessions.set(session.id, session);
  return { user, session, token: await instance.signer.sign(user, session, instance.issuer, now, origin) };
}

export function revokeSessions(instance: Instance, userId: string): void {
  for (const session of instance.store.sessions.values()) {
    if (session.userId === userId && session.status === "active") {
      instance.store.sessions.set(session.id, { ...session, status: "revoked", updatedAt: instance.now() });
    }
  }
}

export function sessionJson(session: Session) {
  return {
    object: "session",
    id: session.id,
    user_id: session.userId,
    client_id: session.clientId,
    actor: null,
    status: session.status,
    last_active_organization_id: null,
    last_active_at: session.updatedAt,
    expire_at: session.expireAt,
    abandon_at: session.expireAt,
    updated_at: session.updatedAt,
    created_at: session.createdAt,
  };
}
