import { escapeIdentifier } from "pg";

import type { Finding } from "../findings";
import type { LedgerFacts, ServerFacts } from "./catalogue";
import type { Timeout } from "./database";
import { type LedgerVersion, standing } from "./ledger-steps";
import { finding, listed, run } from "./preflight-findings";

const OLDEST_VERSION = 12;

/** Older servers lack what the other checks ask for. */
export function isTooOld({ versionNumber }: ServerFacts): boolean {
  return versionNumber < OLDEST_VERSION * 10_000;
}

export function judgeVersion(server: ServerFacts): Finding {
  return isTooOld(server)
    ? finding(
        "version",
        "problem",
        `The server is Postgres ${server.version}, older than ${OLDEST_VERSION}; nothing else was looked at.`,
        `Upgrade it to Postgres ${OLDEST_VERSION} or newer.`,
      )
    : finding("version", "ok", `The server is Postgres ${server.version}.`);
}

export function judgeWritable({ inRecovery, readOnly, user, database }: ServerFacts): Finding {
  if (inRecovery) {
    return finding(
      "writable",
      "problem",
      "This server is a replica: a preview works, but nobody can be linked here.",
      "Name the primary server in DATABASE_URL.",
    );
  }
  if (readOnly) {
    const [role, where] = [escapeIdentifier(user), escapeIdentifier(database)];
    return finding(
      "writable",
      "problem",
      `Transactions of ${user} are read-only (default_transaction_read_only is on): a preview works, but nobody can be linked.`,
      `${run(`alter role ${role} in database ${where} set default_transaction_read_only = off`)}, but find out first why it is on: some hosts do that when the disk is full.`,
    );
  }
  return finding("writable", "ok", "The server takes writes.");
}

/** The writer's lock is an open transaction, and so is the snapshot that a plan is made of. */
export function judgeTimeouts(timeouts: readonly Timeout[], { user, database }: ServerFacts): Finding {
  const names = (some: readonly Timeout[]) => listed(some.map(({ name, value }) => `${name} = ${value}`));
  const kept = timeouts.filter(({ mayLift }) => !mayLift);
  if (kept.length > 0) {
    const where = `alter role ${escapeIdentifier(user)} in database ${escapeIdentifier(database)} set`;
    return finding(
      "timeouts",
      "problem",
      `A limit of the server could end the transaction that keeps this process the only writer, and only an administrator may lift it: ${names(kept)}.`,
      `${run(...kept.map(({ name }) => `${where} ${name} = 0`))}.`,
    );
  }
  return finding(
    "timeouts",
    "ok",
    timeouts.length === 0
      ? "No timeout of the server ends a long transaction."
      : `A run lifts the server's timeouts for its own long transactions: ${names(timeouts)}.`,
  );
}

/** Our end of the connection, as DATABASE_URL and the environment have it. */
export interface ClientEnd {
  readonly host: string;
  readonly encrypts: boolean;
  readonly verifies: boolean;
}

const VERIFY = "Set `sslmode=verify-full` in DATABASE_URL (`?sslmode=verify-full` at its end)";

/** Digests pass over this connection. */
export function judgeTls(client: ClientEnd, server: ServerFacts): Finding {
  if (isLocal(client.host)) return finding("tls", "ok", "The connection to Postgres stays on this machine.");
  if (!client.encrypts) {
    return server.privateNetwork
      ? finding(
          "tls",
          "note",
          `The connection to ${client.host} is not encrypted, and password hashes pass over it. As far as the server can see, it stays in a private network.`,
          `${VERIFY}, if the server has a certificate.`,
        )
      : finding(
          "tls",
          "problem",
          `The connection to ${client.host} is not encrypted, and password hashes pass over it.`,
          `${VERIFY}.`,
        );
  }
  if (server.tls === null) {
    return finding(
      "tls",
      "note",
      `The connection to ${client.host} is encrypted, but the one that Postgres sees is not: there seems to be a pooler between them.`,
      "Make sure that the way from the pooler to Postgres is private.",
    );
  }
  if (!client.verifies) {
    return finding(
      "tls",
      "note",
      `The connection to ${client.host} is encrypted (${server.tls}), but nobody checks that it is the right server.`,
      `${VERIFY}.`,
    );
  }
  return finding("tls", "ok", `The connection to ${client.host} is encrypted (${server.tls}).`);
}

/** A host that is a path is a socket. */
function isLocal(host: string): boolean {
  return host.startsWith("/") || host === "localhost" || /^(127\.[\d.]+|\[?::1\]?)$/.test(host);
}

/** What a run does with the ledger's tables, once they are there. Triggers write the events, as whoever runs. */
const ledgerPrivileges: Readonly<Record<string, readonly string[]>> = {
  users: ["select", "insert", "update"],
  notifications: ["select", "insert", "update"],
  retired_passwords: ["select", "insert", "update"],
  runs: ["select", "insert", "update"],
  events: ["insert"],
  steps: ["select"],
  migrations: ["select", "insert", "update"],
};

export function judgeLedger(facts: LedgerFacts, { user, database }: ServerFacts): Finding {
  const role = escapeIdentifier(user);
  // Whatever step it is at, it says so: without that table it is not there, or of before its steps were numbered.
  const complete = facts.tables.steps !== undefined;
  const grants = complete
    ? useGrants(facts, role)
    : [
        facts.mayCreateSchema ? [] : [`grant create on database ${escapeIdentifier(database)} to ${role}`],
        facts.schema === null || (facts.schema.usage && facts.schema.create)
          ? []
          : [`grant usage, create on schema clerk_migration to ${role}`],
      ].flat();
  if (grants.length > 0) {
    return finding(
      "ledger",
      "problem",
      complete
        ? `${user} may not use the ledger (schema clerk_migration) as a run does.`
        : `${user} may not create the ledger (schema clerk_migration), which the first run does; a preview works.`,
      `${run(...grants)}.`,
    );
  }
  return finding(
    "ledger",
    "ok",
    complete
      ? `The ledger is there (schema clerk_migration), and ${user} may use it.`
      : `${user} may create the ledger (schema clerk_migration); the first run does.`,
  );
}

export function judgeUpgrade(version: LedgerVersion): Finding {
  return finding(
    "ledger",
    "note",
    `The ledger (schema clerk_migration) ${standing(version)}, and the next run brings it to step ${version.to.toString()}.`,
    "From then on an older checkout is refused: update every one that uses this database. Pulumi may list everybody as updated, once; nothing of it is written in Clerk.",
  );
}

function useGrants({ schema, tables }: LedgerFacts, role: string): string[] {
  const usage = schema?.usage === true ? [] : [`grant usage on schema clerk_migration to ${role}`];
  const onTables = Object.entries(ledgerPrivileges).flatMap(([table, needed]) => {
    const missing = needed.filter((privilege) => tables[table]?.includes(privilege) !== true);
    return missing.length === 0 ? [] : [`grant ${missing.join(", ")} on clerk_migration.${table} to ${role}`];
  });
  return [...usage, ...onTables];
}
