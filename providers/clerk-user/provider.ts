import { resourceProvider } from "../boundary";
import { clerkUserInputs, clerkUserOutputs, differs } from "./inputs";
import { deleteUser, ensureUser } from "./lifecycle";
import { readUserState } from "./watch";

export const provider = resourceProvider({
  inputs: clerkUserInputs,
  outputs: clerkUserOutputs,
  idOf: (user) => user.userId,
  differs,
  ensure: ensureUser,
  read: readUserState,
  delete: deleteUser,
});
