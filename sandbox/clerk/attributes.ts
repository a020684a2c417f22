import { missingData, passwordIsTheOnlyWay, unknownParameter } from "./errors";
import type { Instance } from "./instance";
import type { AttributeName } from "./settings";

/** What a request brings for each attribute of a user; null and undefined are nothing. */
export type Given = Readonly<Partial<Record<AttributeName, unknown>>>;

const IDENTIFIERS: readonly AttributeName[] = ["email_address", "phone_number", "username"];

export interface Excuses {
  /** `skip_password_requirement` */
  readonly password?: boolean;
  /** `skip_user_requirement` */
  readonly identifiers?: boolean;
  /** `skip_legal_checks`, or a time of acceptance. */
  readonly legalConsent?: boolean;
}

/** A value for something that is switched off in the dashboard is an unknown parameter to Clerk. */
export function checkEnabled(
  instance: Instance,
  given: Given,
  parameterOf: Partial<Record<AttributeName, string>> = {},
) {
  for (const [name, attribute] of attributesOf(instance)) {
    if (!attribute.enabled && isGiven(given[name])) throw unknownParameter(parameterOf[name] ?? name);
  }
}

export function checkRequired(instance: Instance, given: Given, excuses: Excuses): void {
  const { settings } = instance;
  const { password, phone_number } = settings.attributes;
  const hasOtherWay = settings.emailFirstFactors.length > 0 || phone_number.enabled;
  if (excuses.password && password.enabled && !hasOtherWay) throw passwordIsTheOnlyWay();
  const missing: string[] = attributesOf(instance)
    .filter(([name, attribute]) => attribute.required && !isGiven(given[name]) && !isExcused(name, excuses))
    .map(([name]) => name);
  if (settings.legalConsentRequired && !excuses.legalConsent) missing.push("legal_accepted");
  if (missing.length === 0 && !IDENTIFIERS.some((name) => isGiven(given[name])))
    missing.push("email_address");
  if (missing.length > 0) throw missingData(missing);
}

function attributesOf({ settings: { attributes } }: Instance) {
  const { email_address, phone_number, username, first_name, last_name, password } = attributes;
  const all: [AttributeName, typeof password][] = [
    ["email_address", email_address],
    ["phone_number", phone_number],
    ["username", username],
    ["first_name", first_name],
    ["last_name", last_name],
    ["password", password],
  ];
  return all;
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== "";
}

function isExcused(name: AttributeName, excuses: Excuses): boolean {
  if (name === "password") return excuses.password === true;
  return excuses.identifiers === true && IDENTIFIERS.includes(name);
}
