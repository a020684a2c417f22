import { z } from "zod";

import { json, type Route } from "../call";
import { isPassword } from "../digests";
import { noPasswordSet, passwordDisabled, verifyPasswordIncorrect } from "../errors";
import { parse } from "../parameters";
import { revokeSessions } from "../sessions";
import { userJson } from "../user-json";
import { userOf } from "./users";

const candidate = z.strictObject({ password: z.string() });
const removal = z.strictObject({ sign_out_of_other_sessions: z.boolean().optional() });
const compromise = z.strictObject({ revoke_all_sessions: z.boolean().nullish() });

export const passwordRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/users/{user_id}/verify_password",
    readOnly: true,
    async handle(instance, call) {
      const user = userOf(instance, call);
      const { password } = parse(candidate, call.body);
      if (!user.password) throw noPasswordSet();
      if (!(await isPassword(password, user.password))) throw verifyPasswordIncorrect();
      return json({ verified: true });
    },
  },
  {
    method: "POST",
    path: "/users/{user_id}/remove_password",
    handle(instance, call) {
      const user = userOf(instance, call);
      const { sign_out_of_other_sessions: signOut } = parse(removal, call.body);
      if (signOut) revokeSessions(instance, user.id);
      if (!user.password) return json(userJson(user));
      const changes = { password: null, requiresPasswordReset: false, updatedAt: instance.now() };
      return json(userJson(instance.store.changeUser(user.id, changes)));
    },
  },
  {
    method: "POST",
    path: "/users/{user_id}/password/set_compromised",
    handle(instance, call) {
      const user = userOf(instance, call);
      const { revoke_all_sessions: revokeAll } = parse(compromise, call.body);
      if (!instance.settings.attributes.password.enabled) throw passwordDisabled();
      if (revokeAll) revokeSessions(instance, user.id);
      const changes = { requiresPasswordReset: true, updatedAt: instance.now() };
      return json(userJson(instance.store.changeUser(user.id, changes)));
    },
  },
  {
    method: "POST",
    path: "/users/{user_id}/password/unset_compromised",
    handle(instance, call) {
      const user = userOf(instance, call);
      // A reset that an unproven address demands is not lifted by this.
      const quarantined =
        instance.settings.quarantineReservedPasswords &&
        user.emailAddresses.some((address) => address.status === "reserved");
      const changes = { requiresPasswordReset: quarantined, updatedAt: instance.now() };
      return json(userJson(instance.store.changeUser(user.id, changes)));
    },
  },
];
