import { type Database, explainDatabaseError, openDatabase } from "../providers/postgres/database";

/** Works with one connection, which is closed again; what Postgres has to say is a sentence. */
export async function withDatabase<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase(url, 1);
  try {
    return await work(database);
  } catch (error) {
    throw explainDatabaseError(error);
  } finally {
    await database.end();
  }
}
