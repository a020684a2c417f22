import { formError, refusal } from "./refusal";

export const taken = (parameter: string) => {
  const text = `That ${parameter.replaceAll("_", " ")} is taken. Please try another.`;
  return formError("form_identifier_exists", parameter, text);
};
export const unknownParameter = (parameter: string, resolution = "") =>
  formError(
    "form_param_unknown",
    parameter,
    "is unknown",
    `${parameter} is not a valid parameter for this request.${resolution}`,
  );
export const deprecatedParameter = (parameter: string) =>
  formError("form_param_deprecated", parameter, "is deprecated");
export const missingParameter = (parameter: string) =>
  formError("form_param_missing", parameter, "is missing", `${parameter} must be included.`);
export const wrongType = (parameter: string, type: string) =>
  formError("form_param_type_invalid", parameter, "is invalid", `\`${parameter}\` must be a \`${type}\`.`);
export const valueInvalid = (parameter: string) =>
  formError("form_param_value_invalid", parameter, "is invalid", `${parameter} is invalid`);
export const valueNotAllowed = (parameter: string, value: string, allowed: readonly string[]) =>
  formError(
    "form_param_value_invalid",
    parameter,
    "is invalid",
    `${value} does not match the allowed values for parameter ${parameter}. Allowed values: ${allowed.join(", ")}`,
  );
export const needs = (missing: string, present: string) =>
  formError(
    "form_conditional_param_missing",
    missing,
    "is missing",
    `\`${missing}\` is required when \`${present}\` is present.`,
  );
export const notTogether = (parameter: string, other: string) =>
  formError(
    "form_conditional_param_disallowed",
    parameter,
    "is not allowed",
    `\`${parameter}\` isn't allowed when \`${other}\` is present.`,
  );
export const invalidEmailAddress = (parameter = "email_address") =>
  formError(
    "form_param_format_invalid",
    parameter,
    "is invalid",
    `${parameter} must be a valid email address.`,
  );
export const invalidPhoneNumber = (parameter = "phone_number") =>
  formError(
    "form_param_format_invalid",
    parameter,
    "is invalid",
    `${parameter} must be a valid phone number according to E.164 international standard.`,
  );
export const usernameLength = (shortest: number, longest: number) =>
  formError(
    "form_username_invalid_length",
    "username",
    "is invalid",
    `Username must be between ${shortest} and ${longest} characters long.`,
  );
export const usernameCharacter = () =>
  formError(
    "form_username_invalid_character",
    "username",
    "is invalid",
    "Username can only contain letters, numbers and '_' or '-'.",
  );
export const usernameNeedsLetter = () =>
  formError(
    "form_username_needs_non_number_char",
    "username",
    "is invalid",
    "Username must contain one non-number character.",
  );
export const usernameIsPhoneNumber = () =>
  formError(
    "form_username_cannot_be_phone_number",
    "username",
    "is invalid",
    "username cannot be a phone number. Please choose a different username.",
  );
export const invalidTime = (parameter: string) =>
  formError(
    "form_param_invalid_time",
    parameter,
    "invalid format",
    `${parameter} must contain a datetime specified in RFC3339 format (e.g. \`2022-10-20T10:00:27.645Z\`).`,
  );
export const inTheFuture = (parameter: string) =>
  formError("form_disallow_future_date", parameter, "is invalid", `${parameter} must not be in the future.`);
export const tooManyItems = (parameter: string, limit: number) =>
  formError(
    "form_param_array_size_exceeded",
    parameter,
    "exceeds maximum size",
    `${parameter} should not exceed ${limit} items.`,
  );
export const lengthMismatch = (parameter: string, other: string) =>
  formError(
    "form_param_array_length_mismatch",
    parameter,
    "length mismatch",
    `${parameter} must contain exactly one item for each item in ${other}.`,
  );
export const metadataTooBig = (parameter: string, bytes: number) =>
  formError(
    "form_param_exceeds_allowed_size",
    parameter,
    "exceeds allowed size",
    `${parameter} exceeds the allowed size of ${bytes} bytes.`,
  );
export const missingData = (attributes: readonly string[]) =>
  refusal(
    422,
    "form_data_missing",
    "missing data",
    `[${attributes.map((name) => `"${name}"`).join(" ")}] data doesn't match user requirements set for this instance`,
    { param_names: attributes },
  );
export const passwordIsTheOnlyWay = () =>
  formError(
    "form_param_value_invalid",
    "skip_password_requirement",
    "is invalid",
    "skip_password_requirement cannot be used: password is the only way to sign in to this instance.",
  );
export const needsVerification = (parameter: string) =>
  formError(
    "form_verification_needed",
    parameter,
    "is unverified",
    "This identification needs to be verified before you can perform this action.",
  );
export const missingResource = (parameter: string) =>
  formError(
    "form_resource_not_found",
    parameter,
    "is missing",
    `The resource associated with the supplied ${parameter} was not found.`,
  );
export const accessNotAllowed = (identifier: string) =>
  refusal(
    403,
    "not_allowed_access",
    "Access not allowed.",
    `${identifier} is not allowed to access this application.`,
    { identifiers: [identifier] },
  );
