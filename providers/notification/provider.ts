import { resourceProvider } from "../boundary";
import { differs, nameOf, notificationInputs, notificationOutputs } from "./inputs";
import { ensureNotification, isOutHere, takeBack } from "./lifecycle";

export const provider = resourceProvider({
  inputs: notificationInputs,
  outputs: notificationOutputs,
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
