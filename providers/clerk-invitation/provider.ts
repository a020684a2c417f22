import { resourceProvider } from "../boundary";
import { differs, invitationInputs, invitationOutputs } from "./inputs";
import { ensureInvitation, revokeInvitation } from "./lifecycle";

export const provider = resourceProvider({
  inputs: invitationInputs,
  outputs: invitationOutputs,
  idOf: (invitation) => invitation.userId,
  differs,
  ensure: ensureInvitation,
  delete: revokeInvitation,
});
