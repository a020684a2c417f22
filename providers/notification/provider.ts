import { resourceProvider } from "../boundary";
import { differs, nameOf, storedNotification } from "./inputs";
import { ensureNotification, isOutHere, takeBack } from "./lifecycle";

export const provider = resourceProvider({
  ...storedNotification,
  idOf: nameOf,
  differs,
  ensure: ensureNotification,
  delete: takeBack,
  removal: (systems, mail) => ({
    name: `The mail to user ${mail.userId}`,
    userId: mail.userId,
    doesSomething: () => isOutHere(systems, mail),
  }),
});
