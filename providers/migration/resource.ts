import * as pulumi from "@pulumi/pulumi";

import { providerPointer } from "../pointer";
import { orUnknown } from "../stack";
import type { MigrationInputs } from "./inputs";

/** The stack's root: parent of every user, created first and deleted last. */
export class Migration extends pulumi.CustomResource {
  constructor(inputs: MigrationInputs) {
    super("pulumi-nodejs:dynamic/clerk:Migration", "migration", {
      __provider: providerPointer("migration"),
      ...inputs,
      migrationId: orUnknown(inputs.migrationId),
    });
  }
}
