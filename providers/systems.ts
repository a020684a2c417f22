import { type Clerk, type Instance, openClerk } from "./clerk/client";
import { type Decisions, readDecisions } from "./decisions";
import { MigrationError, type Refusal } from "./errors";
import { type Mailer, openMailer } from "./mail/mailer";
import { type Database, openDatabase } from "./postgres/database";
import { joinMigration, linkName, type Owner, ownerOf } from "./postgres/ledger-migrations";
import { recordFigures } from "./postgres/ledger-runs";
import { ensureLedger } from "./postgres/ledger-steps";
import { holdWriterLock, type WriterLock } from "./postgres/writer-lock";
import { type Command, engineOfProvider } from "./removal-guard";
import { type ConnectionSettings, loadDotEnv, parseConnection } from "./settings";

/** The two systems, as every lifecycle function gets them. One set per provider process. */
export interface Systems {
  readonly settings: ConnectionSettings;
  readonly database: Database;
  readonly clerk: Clerk;
  /** The instance of the key; asked once. */
  instance(): Promise<Instance>;
  /** What this process knows of the command that it serves. */
  readonly command: Command;
  /** What people have decided, as decisions.yaml says now; read once. */
  decisions(): Decisions;
  /** For whom a resource was declared, as ledger and state say. Writes nothing. */
  owner(declared: Declared): Promise<Owner>;
  /**
   * Makes this process the stack's only writer and says for whom it writes. Makes the ledger where it has been lost. Asked before
   * the first write.
   */
  writer(declared: Declared): Promise<Owner>;
  /** From now on nobody new is created or adopted in this process, for this reason. The first one counts. */
  stopCreating(reason: Refusal): void;
  /** Asked before anybody is created or adopted: throws where that has been stopped. */
  assertCreating(): void;
  /** Opened when the first mail of our own goes out. Throws where a setting is missing, or a template is wrong. */
  mailer(): Mailer;
  /** Writes down how many requests there have been, for the run that goes on; rarely, unless it must be now. */
  noteFigures(isNow: boolean): void;
  /** A sentence for the operator that is no error. */
  warn(sentence: string): void;
  /** Frees connections and locks; a provider process does so by exiting. */
  close(): Promise<void>;
}

/** What every resource says of the stack that has declared it. */
export type Declared = Pick<Owner, "stack" | "migrationId">;

const NOTE_EVERY_MS = 2_000;

export function openSystems(settings: ConnectionSettings, warn: (sentence: string) => void): Systems {
  const database = openDatabase(settings.databaseUrl);
  const locks = new Map<string, Promise<WriterLock>>();
  const held: WriterLock[] = [];
  let instance: Promise<Instance> | undefined;
  let mailer: Mailer | undefined;
  let decisions: Decisions | undefined;
  const processStart = new Date();
  let notedAt = 0;

  let stopped: Refusal | undefined;
  const assertCreating = () => {
    if (stopped !== undefined) throw stopped;
  };

  const clerk = openClerk({
    secretKey: settings.clerkSecretKey,
    apiUrl: settings.clerkApiUrl,
    requestsPer10s: settings.clerkRequestsPer10s,
    beforeWrite: (request) => {
      held.forEach((lock) => {
        lock.assertHeld();
      });
      // At the last moment: hundreds may wait for their turn.
      if (request === "POST /users") assertCreating();
    },
  });
  const askInstance = () => (instance ??= clerk.instance());

  const lock = (stack: string) => {
    const known = locks.get(stack);
    if (known !== undefined) return known;
    const taken = holdWriterLock(settings.databaseUrl, stack).then(async (lock) => {
      held.push(lock);
      // A rollback runs no program that could have done it.
      await ensureLedger(database);
      return lock;
    });
    locks.set(stack, taken);
    return taken;
  };

  const link = () => linkName(database, settings.table);
  const owner = async ({ stack, migrationId }: Declared): Promise<Owner> => {
    const { id: clerkInstanceId } = await askInstance();
    return ownerOf(database, { stack, clerkInstanceId, migrationId }, await link());
  };
  const writer = async ({ stack, migrationId }: Declared): Promise<Owner> => {
    const [{ id: clerkInstanceId }] = await Promise.all([askInstance(), lock(stack)]);
    return joinMigration(database, { stack, clerkInstanceId, migrationId }, await link());
  };
  return {
    settings,
    database,
    clerk,
    command: { engine: engineOfProvider(), hasSeenProgram: false },
    instance: askInstance,
    decisions: () => (decisions ??= readDecisions(settings.decisions)),
    owner: once(owner),
    writer: once(writer),
    noteFigures(isNow) {
      const now = Date.now();
      if (!isNow && now - notedAt < NOTE_EVERY_MS) return;
      notedAt = now;
      for (const stack of locks.keys())
        // They only inform: a run does not fail over them.
        recordFigures(database, stack, processStart, clerk.figures()).catch(() => undefined);
    },
    stopCreating(reason) {
      stopped ??= reason;
    },
    assertCreating,
    mailer: () => (mailer ??= openMailer(settings)),
    warn,
    async close() {
      mailer?.close();
      await Promise.all(held.map((lock) => lock.release()));
      if (!database.ended) await database.end();
    },
  };
}

/** Asked once for each stack and migration; a failure is not kept. */
function once(ask: (declared: Declared) => Promise<Owner>): (declared: Declared) => Promise<Owner> {
  const asked = new Map<string, Promise<Owner>>();
  return (declared) => {
    const key = JSON.stringify([declared.stack, declared.migrationId]);
    const answer =
      asked.get(key) ??
      ask(declared).catch((error: unknown) => {
        asked.delete(key);
        throw error;
      });
    asked.set(key, answer);
    return answer;
  };
}

let configured: Systems | MigrationError | undefined;

/**
 * Opens the systems from the environment and the config that the engine hands over. Everything before the first
 * await, because the SDK lets other calls in before `configure` has finished; a failure is kept for them.
 */
export function configureSystems(config: { get(key: string): string | undefined }): void {
  if (configured !== undefined && !(configured instanceof MigrationError)) return;
  loadDotEnv();
  try {
    const settings = parseConnection(process.env, (key) => config.get(key));
    configured = openSystems(settings, (sentence) => {
      console.warn(sentence);
    });
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    configured = error;
  }
}

/** Those of this process, where they are open. */
export function openedSystems(): Systems | undefined {
  return configured instanceof MigrationError ? undefined : configured;
}

/** The systems of this process. Throws what was wrong with the settings. */
export function systems(): Systems {
  if (configured instanceof MigrationError) throw configured;
  if (configured === undefined) throw new Error("the provider was called before it was configured");
  return configured;
}
