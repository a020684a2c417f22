import { formError, refusal } from "./refusal";

export const digestInvalid = (hasher: string) =>
  formError(
    "form_password_digest_invalid_code",
    "password_digest",
    "is invalid",
    `password_digest is not valid for the ${hasher} hasher.`,
  );
export const passwordTooShort = () =>
  formError("form_password_length_too_short", "password", "Passwords must be 8 characters or more.");
export const passwordIncorrect = () =>
  formError(
    "form_password_incorrect",
    "password",
    "Password is incorrect. Try again, or use another method.",
  );
export const verifyPasswordIncorrect = () =>
  refusal(
    422,
    "incorrect_password",
    "incorrect password",
    "The provided password is not the one the user has set",
  );
export const noPasswordSet = () =>
  refusal(
    400,
    "no_password_set",
    "no password set",
    "This user does not have a password set for their account",
  );
export const passwordDisabled = () =>
  refusal(
    403,
    "password_disabled",
    "password disabled",
    "Password is disabled for this instance. Cannot force a password reset.",
  );
export const lockoutDisabled = () =>
  refusal(403, "feature_not_enabled", "not enabled", "This feature is not enabled on this instance");
