import { Refusal, refusal } from "./refusal";

export const keyMissing = () =>
  refusal(
    401,
    "authorization_header_format_invalid",
    "Invalid Authorization header format",
    "Invalid Authorization header format. Must be 'Bearer <YOUR_API_KEY>'",
  );
export const keyInvalid = () =>
  refusal(
    401,
    "clerk_key_invalid",
    "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.",
  );
export const tooManyRequests = (retryAfter: number) =>
  new Refusal(
    429,
    [
      {
        code: "too_many_requests",
        message: "Too many requests",
        long_message: "Too many requests, retry later",
        meta: { resets_in: retryAfter },
      },
    ],
    retryAfter,
  );
export const apiVersionInvalid = (version: string) =>
  refusal(
    400,
    "api_version_invalid",
    "API version invalid",
    `The API version ${version} is not one this sandbox speaks.`,
  );
export const userQuotaExceeded = (limit: number) =>
  refusal(
    403,
    "user_quota_exceeded",
    "user quota exceeded",
    `You have reached your limit of ${limit} users. If you need more users, please use a Production instance.`,
  );
export const planTooSmall = (feature: string) =>
  refusal(
    402,
    "unsupported_subscription_plan_features",
    "feature not supported",
    `Unsupported features by the current plan: ${feature}.`,
  );
