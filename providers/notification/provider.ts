import { resourceProvider } from "../boundary";
import { differs, nameOf, notificationInputs, notificationOutputs } from "./inputs";
import { ensureNotification, takeBack } from "./lifecycle";

export const provider = resourceProvider({
  inputs: notificationInputs,
  outputs: notificationOutputs,
  idOf: nameOf,
  differs,
  ensure: ensureNotification,
  delete: takeBack,
});
