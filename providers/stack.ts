import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

import { messageOf } from "./errors";
import { explainDatabaseError } from "./postgres/database";
import { isMigrationId } from "./postgres/ledger-migrations";
import { loadDotEnv, parseSettings, type Settings } from "./settings";

/** `<project>/<stack>`: whose users they are, in ledger and marks. */
export function stackName(): string {
  return `${pulumi.getProject()}/${pulumi.getStack()}`;
}

/** The migration id; unknown to a dry run before the `up` that makes it. */
export function orUnknown(migrationId: string): pulumi.Input<unknown> {
  return isMigrationId(migrationId) ? migrationId : pulumi.output(pulumi.unknown);
}

/** Environment, `.env` and stack config as settings. */
export function stackSettings(): Settings {
  loadDotEnv();
  const prefix = `${pulumi.getProject()}:`;
  const values = Object.fromEntries(
    Object.entries(pulumi.runtime.allConfig())
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
  const secretKeys = z.array(z.string()).parse(JSON.parse(process.env.PULUMI_CONFIG_SECRET_KEYS ?? "[]"));
  return parseSettings(process.env, { values, isSecret: (key) => secretKeys.includes(prefix + key) });
}

/** Runs the program; what it throws is shown as a sentence, without a stack trace. */
export async function presentingErrors<T>(program: () => Promise<T>): Promise<T> {
  try {
    return await program();
  } catch (error) {
    throw new pulumi.RunError(messageOf(explainDatabaseError(error)));
  }
}
