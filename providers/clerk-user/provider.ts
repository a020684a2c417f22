import { resourceProvider } from "../boundary";
import { differs, storedUser } from "./inputs";
import { ensureUser } from "./lifecycle";
import { deleteUser, isHeldHere } from "./rollback";
import { readUserState } from "./watch";

export const provider = resourceProvider({
  ...storedUser,
  idOf: (user) => user.userId,
  differs,
  ensure: ensureUser,
  read: readUserState,
  delete: deleteUser,
  removal: (systems, user) => ({
    name: `User ${user.userId}`,
    userId: user.userId,
    doesSomething: () => isHeldHere(systems, user),
  }),
});
