import { type Clerk, type Instance, openClerk } from "./clerk/client";
import { MigrationError } from "./errors";
import { type Mailer, openMailer } from "./mail/mailer";
import { type Database, openDatabase } from "./postgres/database";
import type { Owner } from "./postgres/ledger";
import { recordFigures } from "./postgres/ledger-runs";
import { ensureLedger } from "./postgres/ledger-steps";
import { holdWriterLock, type WriterLock } from "./postgres/writer-lock";
import { type ConnectionSettings, loadDotEnv, parseConnection } from "./settings";

/** The two systems, as every lifecycle function gets them. One set per provider process. */
export interface Systems {
  readonly settings: ConnectionSettings;
  readonly database: Database;
  readonly clerk: Clerk;
  /** The instance of the key; asked once. */
  instance(): Promise<Instance>;
  /**
   * Makes this process the stack's only writer, brings the ledger to the form that it writes, and says for whom it
   * writes. Asked before the first write.
   */
  writer(stack: string): Promise<Owner>;
  /** Opened when the first mail of our own goes out. Throws where a setting is missing, or a template is wrong. */
  mailer(): Mailer;
  /** Writes down how many requests there have been, for the run that goes on; rarely, unless it must be now. */
  noteFigures(isNow: boolean): void;
  /** A sentence for the operator that is no error. */
  warn(sentence: string): void;
  /** Frees connections and locks; a provider process does so by exiting. */
  close(): Promise<void>;
}

const NOTE_EVERY_MS = 2_000;

export function openSystems(settings: ConnectionSettings, warn: (sentence: string) => void): Systems {
  const database = openDatabase(settings.databaseUrl);
  const locks = new Map<string, Promise<WriterLock>>();
  const held: WriterLock[] = [];
  let instance: Promise<Instance> | undefined;
  let mailer: Mailer | undefined;
  const processStart = new Date();
  let notedAt = 0;

  const clerk = openClerk({
    secretKey: settings.clerkSecretKey,
    apiUrl: settings.clerkApiUrl,
    requestsPer10s: settings.clerkRequestsPer10s,
    beforeWrite: () => {
      held.forEach((lock) => {
        lock.assertHeld();
      });
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

  return {
    settings,
    database,
    clerk,
    instance: askInstance,
    async writer(stack) {
      const [{ id }] = await Promise.all([askInstance(), lock(stack)]);
      return { stack, clerkInstanceId: id };
    },
    noteFigures(isNow) {
      const now = Date.now();
      if (!isNow && now - notedAt < NOTE_EVERY_MS) return;
      notedAt = now;
      for (const stack of locks.keys())
        // They only inform: a run does not fail over them.
        recordFigures(database, stack, processStart, clerk.figures()).catch(() => undefined);
    },
    mailer: () => (mailer ??= openMailer(settings)),
    warn,
    async close() {
      mailer?.close();
      await Promise.all(held.map((lock) => lock.release()));
      if (!database.ended) await database.end();
    },
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
