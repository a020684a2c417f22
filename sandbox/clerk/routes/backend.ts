import type { Route } from "../call";
import { createUserRoutes } from "./create-user";
import { emailAddressRoutes } from "./email-addresses";
import { instanceRoutes } from "./instance";
import { invitationRoutes } from "./invitations";
import { listUserRoutes } from "./list-users";
import { metadataRoutes } from "./metadata";
import { passwordRoutes } from "./passwords";
import { signInTokenRoutes } from "./sign-in-tokens";
import { userRoutes } from "./users";

/** The Backend API under /v1. Order matters where a path could be read two ways. */
export const backendRoutes: readonly Route[] = [
  ...createUserRoutes,
  ...listUserRoutes,
  ...userRoutes,
  ...metadataRoutes,
  ...passwordRoutes,
  ...emailAddressRoutes,
  ...invitationRoutes,
  ...signInTokenRoutes,
  ...instanceRoutes,
];
