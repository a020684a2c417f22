import * as pulumi from "@pulumi/pulumi";

import { providerPointer } from "../pointer";
import { orUnknown } from "../stack";
import { nameOf, type NotificationInputs } from "./inputs";

/** One mail that tells a user about the Clerk account, or reminds of it. */
export class Notification extends pulumi.CustomResource {
  constructor(inputs: NotificationInputs, options: pulumi.CustomResourceOptions) {
    super(
      "pulumi-nodejs:dynamic/clerk:Notification",
      nameOf(inputs),
      {
        __provider: providerPointer("notification"),
        ...inputs,
        migrationId: orUnknown(inputs.migrationId),
        email: pulumi.secret(inputs.email),
        decidedEmail: pulumi.secret(inputs.decidedEmail),
        credentialId: undefined,
        status: undefined,
        reason: undefined,
      },
      options,
    );
  }
}
