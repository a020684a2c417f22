import * as pulumi from "@pulumi/pulumi";

import { providerPointer } from "../pointer";
import type { InvitationInputs } from "./inputs";

/** The one mail that tells a user about the Clerk account. */
export class ClerkInvitation extends pulumi.CustomResource {
  constructor(inputs: InvitationInputs, options: pulumi.CustomResourceOptions) {
    super(
      "pulumi-nodejs:dynamic/clerk:Invitation",
      inputs.userId,
      {
        __provider: providerPointer("clerk-invitation"),
        ...inputs,
        email: pulumi.secret(inputs.email),
        invitationId: undefined,
        status: undefined,
        reason: undefined,
      },
      options,
    );
  }
}
