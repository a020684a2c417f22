import { refusal } from "./refusal";

export const unknownEndpoint = () =>
  refusal(404, "resource_not_found", "not found", "There is no such endpoint here.");
export const methodNotAllowed = () => refusal(405, "method_not_allowed", "Method not allowed");
export const bodyMalformed = () =>
  refusal(
    400,
    "request_body_invalid",
    "Request body invalid",
    "The request body is invalid. Please consult the docs.",
  );
export const bodyTooLarge = () => refusal(413, "request_body_too_large", "Request body too large");
export const contentTypeUnsupported = () =>
  refusal(
    415,
    "unsupported_content_type",
    "Content-Type is unsupported",
    "The Content-Type must be application/json.",
  );
export const unexpected = () =>
  refusal(
    500,
    "internal_clerk_error",
    "Oops, an unexpected error occurred",
    "There was an internal error on our servers. We've been notified and are working on fixing it.",
  );
