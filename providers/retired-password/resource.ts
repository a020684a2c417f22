import * as pulumi from "@pulumi/pulumi";

import { providerPointer } from "../pointer";
import { orUnknown } from "../stack";
import type { RetiredPasswordInputs } from "./inputs";

/** One legacy digest, sealed in the ledger and gone from the users table; its deletion puts it back. */
export class RetiredPassword extends pulumi.CustomResource {
  constructor(inputs: RetiredPasswordInputs, options: pulumi.CustomResourceOptions) {
    super(
      "pulumi-nodejs:dynamic/clerk:RetiredPassword",
      inputs.userId,
      {
        __provider: providerPointer("retired-password"),
        ...inputs,
        migrationId: orUnknown(inputs.migrationId),
        digestFingerprint: pulumi.secret(inputs.digestFingerprint),
        keyId: undefined,
      },
      options,
    );
  }
}
