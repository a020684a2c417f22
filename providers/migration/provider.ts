import { resourceProvider } from "../boundary";
import { hasLedger } from "../postgres/ledger-steps";
import { differs, migrationInputs } from "./inputs";
import { ensureMigration, sweep } from "./lifecycle";

export const provider = resourceProvider({
  inputs: migrationInputs,
  outputs: migrationInputs,
  idOf: () => "migration",
  differs,
  ensure: ensureMigration,
  delete: sweep,
  removal: ({ database }, { stack }) => ({
    name: `The root of the stack ${stack}`,
    doesSomething: () => hasLedger(database),
  }),
});
