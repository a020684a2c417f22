import { resourceProvider } from "../boundary";
import { differs, retiredPasswordInputs, retiredPasswordOutputs } from "./inputs";
import { ensureRetired, isSealedHere, restorePassword } from "./lifecycle";

export const provider = resourceProvider({
  inputs: retiredPasswordInputs,
  outputs: retiredPasswordOutputs,
  idOf: ({ userId }) => userId,
  differs,
  ensure: ensureRetired,
  delete: restorePassword,
  removal: (systems, password) => ({
    name: `The sealed digest of user ${password.userId}`,
    userId: password.userId,
    doesSomething: () => isSealedHere(systems, password),
  }),
});
