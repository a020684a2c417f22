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
      // Of before there were other mails: without this the engine would take it back, as undeclared, and tell anew.
      inputs.number === 0
        ? { ...options, aliases: [{ type: "pulumi-nodejs:dynamic/clerk:Invitation" }] }
        : options,
    );
  }
}
