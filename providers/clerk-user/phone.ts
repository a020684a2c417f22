/** A country code at the beginning of a number in international form. */
const COUNTRY = /^\+(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})/;

/** Italy, San Marino, Vatican, Ivory Coast, Gabon, Congo: there a zero may belong to the number, from abroad as well. */
const keepsZero: readonly string[] = ["+39", "+378", "+379", "+225", "+241", "+242"];

export interface PhoneNumber {
  /** Without spaces and punctuation; empty where there is none. */
  readonly number: string;
  /** Whether a zero in brackets was left out: +44 (0)20 means 020 at home and +4420 from abroad. */
  readonly hasTrunkZero: boolean;
}

export function phoneNumberOf(text: string): PhoneNumber {
  const bare = text.replace(/[\s.-]/g, "");
  const country = COUNTRY.exec(bare)?.[0] ?? "";
  const hasTrunkZero =
    country !== "" && !keepsZero.includes(country) && bare.slice(country.length).startsWith("(0)");
  const rest = hasTrunkZero ? bare.slice(country.length + "(0)".length) : bare.slice(country.length);
  return { number: `${country}${rest}`.replace(/[()]/g, ""), hasTrunkZero };
}

/** Why Clerk would not take a number; undefined where it would, or where there is none. */
export function phoneNumberFlaw(number: string): string | undefined {
  if (number === "") return undefined;
  if (!/^\+[1-9]\d{6,14}$/.test(number)) return "it has to be + and 7 to 15 digits";
  const country = COUNTRY.exec(number)?.[0] ?? "";
  const isTrunk = !keepsZero.includes(country) && number[country.length] === "0";
  return isTrunk ? "no number has a zero after this country code" : undefined;
}
