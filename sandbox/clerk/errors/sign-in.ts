import { formError, refusal } from "./refusal";

export const identifierUnknown = () =>
  formError("form_identifier_not_found", "identifier", "Couldn't find your account.");
export const strategyInvalid = () =>
  refusal(
    400,
    "strategy_for_user_invalid",
    "Invalid verification strategy",
    "The verification strategy is not valid for this account",
  );
export const userBanned = () =>
  refusal(403, "user_banned", "User banned", "You have been banned. Please contact support.");
export const userLocked = () =>
  refusal(
    403,
    "user_locked",
    "Account locked",
    "Your account is locked. You will be able to try again later. For more information, please contact support.",
  );
export const passwordResetRequired = () =>
  refusal(
    422,
    "password_reset_required",
    "password reset required",
    "This account requires a password reset before sign-in can continue. Please reset your password or contact support.",
  );
export const passwordCompromised = () =>
  formError(
    "form_password_compromised",
    "password",
    "Your password may be compromised.",
    "Your password may be compromised. To protect your account, please continue with an alternative sign-in method. You will be required to reset your password after signing in.",
  );
export const ticketInvalid = () =>
  refusal(400, "ticket_invalid_code", "ticket is invalid", "Ticket is invalid");
export const ticketExpired = () =>
  refusal(
    400,
    "ticket_expired_code",
    "ticket has expired",
    "The ticket has expired. Please request a new one.",
  );
export const invitationRevoked = () => refusal(400, "revoked_invitation", "The invitation was revoked.");
export const invitationWithoutAccount = () =>
  refusal(
    400,
    "invitation_account_not_exists",
    "identification not found",
    "This invitation refers to a non-existing identification.",
  );
export const signInTokenRevoked = () =>
  refusal(
    400,
    "sign_in_token_revoked_code",
    "sign in token has been revoked",
    "This sign in token has been revoked and cannot be used anymore.",
  );
export const signInTokenUsed = () =>
  refusal(
    400,
    "sign_in_token_already_used_code",
    "sign in token has already been used",
    "This sign in token has already been used. Each token can only be used once.",
  );
export const signInTokenNotInSignIn = () =>
  refusal(
    400,
    "sign_in_token_not_in_sign_in_code",
    "not in sign in",
    "Sign in tokens can only be used during sign in.",
  );
export const signUpRestricted = () =>
  refusal(403, "sign_up_mode_restricted", "Sign-ups restricted", "New sign-ups are currently restricted.");
