import type { InstanceEnvironment } from "../clerk/environment";

/** What Clerk's dashboard sets for user names. */
export type UsernameRules = InstanceEnvironment["usernames"];

/** Clerk's own, where nobody has changed them. */
export const usualUsernames: UsernameRules = {
  minLength: 4,
  maxLength: 64,
  allowsSpecialCharacters: false,
  allowsNumbersAlone: false,
};

/** Why Clerk would not take a user name, which is lower case here; undefined where it would. */
export function usernameFlaw(username: string, rules: UsernameRules): string | undefined {
  const { minLength, maxLength, allowsSpecialCharacters, allowsNumbersAlone } = rules;
  if (username.length < minLength || username.length > maxLength)
    return `it has to have ${minLength.toString()} to ${maxLength.toString()} characters`;
  const isKnown = allowsSpecialCharacters
    ? /^[a-z0-9_!#$'+.^`~-]+$/.test(username)
    : /^[a-z0-9_-]+$/.test(username);
  if (!isKnown)
    return `it takes ${allowsSpecialCharacters ? "letters, digits and _-!#$'+.^`~" : "letters, digits, _ and -"}, ${minLength.toString()} to ${maxLength.toString()} of them`;
  if (/^\+[1-9]\d{6,14}$/.test(username)) return "it is a phone number";
  return !allowsNumbersAlone && /^\d+$/.test(username) ? "it has digits alone" : undefined;
}
