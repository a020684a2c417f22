import * as pulumi from "@pulumi/pulumi";

import { providerPointer } from "../pointer";
import { orUnknown } from "../stack";
import type { ClerkUserInputs } from "./inputs";

/** One legacy user in Clerk, linked in `users.clerk_user_id`. Named, and identified, by its `user_id`. */
export class ClerkUser extends pulumi.CustomResource {
  declare readonly clerkUserId: pulumi.Output<string>;

  constructor(inputs: ClerkUserInputs, options: pulumi.CustomResourceOptions) {
    const { profile, decidedEmail, ...open } = inputs;
    super(
      "pulumi-nodejs:dynamic/clerk:User",
      inputs.userId,
      {
        __provider: providerPointer("clerk-user"),
        ...open,
        migrationId: orUnknown(open.migrationId),
        // Encrypted in state and `[secret]` on screen: personal data, and what a digest could be guessed from.
        profile: pulumi.secret(profile),
        decidedEmail: pulumi.secret(decidedEmail),
        clerkUserId: undefined,
        clerkInstanceId: undefined,
        origin: undefined,
        condition: undefined,
        seen: undefined,
        lastSignInAt: undefined,
      },
      options,
    );
  }
}
