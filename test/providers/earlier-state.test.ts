import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import type { ClerkUserInputs } from "../../providers/clerk-user/inputs";
import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { ensureNotification } from "../../providers/notification/lifecycle";
import { readNotification } from "../../providers/postgres/ledger-notifications";
import { readUser } from "../../providers/postgres/ledger-users";
import { ensureRetired } from "../../providers/retired-password/lifecycle";
import { signIn } from "../../sandbox/clerk/sign-in";
import { clerkSettings } from "../../sandbox/sandbox";
import { describeDifference, snapshotDatabase } from "../../sandbox/snapshot";
import { startStoredProvider, type StoredProvider } from "../stored-provider";
import { openTestSystems, SARAH, STACK, type TestSystems } from "../systems";

/** What a commit wrote into Pulumi's state: one file for each kind and form, named by the first that wrote it. */
const folder = join(__dirname, "earlier-state");
const forms = readdirSync(folder).map((file) => file.replace(".json", ""));
const formsOf = (kind: string) => forms.filter((form) => form.startsWith(kind));

const storedSchema = z.object({
  id: z.string(),
  inputs: z.looseObject({}),
  outputs: z.looseObject({ __provider: z.string() }),
});
type Stored = z.infer<typeof storedSchema>;

/** With the values of today's systems where the file has `<name>`. */
function stored(form: string, values: Readonly<Record<string, string>>): Stored {
  const text = readFileSync(join(folder, `${form}.json`), "utf8");
  const filled = text.replace(/<(\w+)>/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${form} needs a value for ${name}.`);
    return value;
  });
  return storedSchema.parse(JSON.parse(filled));
}

const { userId } = SARAH;
const KEY = randomBytes(32).toString("base64");
const providers: StoredProvider[] = [];
let on: TestSystems;
let declared: ClerkUserInputs;
let values: Readonly<Record<string, string>>;
let before: Awaited<ReturnType<typeof snapshotDatabase>>;

beforeEach(async () => {
  on = await openTestSystems();
  before = await snapshotDatabase(on.database.url);
  await on.restart({ digestSealKey: KEY });
  declared = await on.declared(userId);
  const { clerkUserId } = await ensureUser(on.systems, declared);
  const { migrationId, clerkInstanceId } = on.migration;
  values = { ...declared.profile, userId, clerkUserId, clerkInstanceId, migrationId };
});
afterEach(async () => {
  await Promise.all(providers.splice(0).map((provider) => provider.close()));
  await on.close();
});

/**
 * Against what was declared then, as a refresh does, and against what is declared today, but for the migration's id where
 * the state is of before there was one: the next `up` adds it.
 */
async function expectNothingToDo(
  provider: StoredProvider,
  { id, inputs, outputs }: Stored,
  declared: { readonly migrationId: string },
): Promise<void> {
  expect(await provider.diff(id, outputs, inputs)).toEqual({ changes: false });
  const hasId = "migrationId" in outputs;
  expect(await provider.diff(id, outputs, declared)).toEqual({ changes: !hasId });
  const comparable = hasId ? declared : { ...declared, migrationId: "" };
  expect(await provider.diff(id, outputs, comparable)).toEqual({ changes: false });
}

/** The process that made it all ends, and the state's own provider takes over. */
async function providerOf({ outputs }: Stored): Promise<StoredProvider> {
  await on.restart();
  const provider = await startStoredProvider(outputs.__provider, {
    ...clerkSettings(on.database.url, on.clerk),
    CLERK_REQUESTS_PER_10S: "100000",
    DIGEST_SEAL_KEY: KEY,
    ROLLBACK_SIGNED_IN: "delete",
  });
  providers.push(provider);
  return provider;
}

test.each(formsOf("migration"))("%s: nothing is to be done, and its delete sweeps", async (form) => {
  const state = stored(form, values);
  const provider = await providerOf(state);
  await expectNothingToDo(provider, state, on.migration);
  expect((await provider.read(state.id, state.outputs)).props).toEqual(state.outputs);
  await provider.delete(state.id, state.outputs);
  expect(on.live(userId)).toBeUndefined();
});

describe.each(formsOf("clerk-user"))("%s", (form) => {
  test("is what is declared today, is watched under the names that it has, and is rolled back", async () => {
    const state = stored(form, values);
    const provider = await providerOf(state);
    await expectNothingToDo(provider, state, declared);
    expect(await provider.diff(state.id, state.outputs, { ...declared, attempt: 2 })).toEqual({
      changes: true,
    });

    await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
    const { props } = await provider.read(state.id, state.outputs);
    const { lastSignInAt, ...others } = props;
    expect(lastSignInAt).not.toBe("");
    expect({ ...others, lastSignInAt: "" }).toEqual(state.outputs);

    await provider.delete(state.id, props);
    expect(on.live(userId)).toBeUndefined();
    expect(describeDifference(before, await snapshotDatabase(on.database.url))).toEqual([]);
    expect(await readUser(on.systems.database, on.migration, userId)).toMatchObject({
      status: "rolled_back",
    });
  });
});

describe.each([...formsOf("clerk-invitation"), ...formsOf("notification")])("%s", (form) => {
  test("is the mail that told the user: it is not sent again, and is revoked", async () => {
    const inputs = await on.notification(userId);
    const { credentialId } = await ensureNotification(on.systems, inputs);
    const state = stored(form, { ...values, credentialId });
    const provider = await providerOf(state);
    await expectNothingToDo(provider, state, inputs);
    expect((await provider.read(state.id, state.outputs)).props).toEqual(state.outputs);
    const mails = on.clerk.store.invitations.size;

    await provider.delete(state.id, state.outputs);
    expect(on.clerk.store.invitations.size).toBe(mails);
    expect(on.clerk.store.invitations.get(credentialId)?.status).toBe("revoked");
    expect(await readNotification(on.systems.database, on.migration, { userId, number: 0 })).toMatchObject({
      status: "revoked",
    });
  });
});

test.each(formsOf("retired-password"))(
  "%s: nothing is to be done, and its delete puts the digest back",
  async (form) => {
    await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
    const inputs = {
      userId,
      label: "",
      stack: STACK,
      migrationId: on.migration.migrationId,
      digestFingerprint: declared.profile.digestFingerprint,
      attempt: 1,
    };
    const { keyId } = await ensureRetired(on.systems, inputs);
    const state = stored(form, { ...values, keyId });
    const provider = await providerOf(state);
    await expectNothingToDo(provider, state, inputs);
    expect((await provider.read(state.id, state.outputs)).props).toEqual(state.outputs);
    await provider.delete(state.id, state.outputs);
    const [row] = await on.query("select 1 from users where user_id = $1 and password_hash is not null", [
      userId,
    ]);
    expect(row).toBeDefined();
  },
);

test("a form that nobody has written is named by its places, with what to do", async () => {
  const state = stored("clerk-user-55dd91b", values);
  const provider = await providerOf(state);
  const damaged = { ...state.outputs, clerkUserId: undefined };
  const message =
    "another form than this version reads (clerkUserId). Restore it from a backup (`pulumi stack export` shows the state), or use the version that wrote it.";
  await expect(provider.read(state.id, damaged)).rejects.toThrow(message);
  await expect(provider.delete(state.id, damaged)).rejects.toThrow(message);
});
