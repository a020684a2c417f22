import { resourceProvider } from "../boundary";
import { differs, retiredPasswordInputs, retiredPasswordOutputs } from "./inputs";
import { ensureRetired, restorePassword } from "./lifecycle";

export const provider = resourceProvider({
  inputs: retiredPasswordInputs,
  outputs: retiredPasswordOutputs,
  idOf: ({ userId }) => userId,
  differs,
  ensure: ensureRetired,
  delete: restorePassword,
});
