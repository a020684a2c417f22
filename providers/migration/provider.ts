import { resourceProvider } from "../boundary";
import { differs, migrationInputs } from "./inputs";
import { ensureMigration, sweep } from "./lifecycle";

export const provider = resourceProvider({
  inputs: migrationInputs,
  outputs: migrationInputs,
  idOf: () => "migration",
  differs,
  ensure: ensureMigration,
  delete: sweep,
});
