import { z } from "zod";

export const choice = <const T extends readonly [string, ...string[]]>(name: string, values: T) =>
  z.enum(
    values,
    `${name} has to be ${values.join(" or ")}. Correct it, or remove it for the default, ${values[0]}.`,
  );

export const flag = (name: string) =>
  z
    .enum(
      ["true", "false"],
      `${name} has to be true or false. Correct it with \`pulumi config set ${name} …\`.`,
    )
    .transform((text) => text === "true");

export const count = (name: string) =>
  z
    .string()
    .regex(
      /^\d{1,9}$/,
      `${name} has to be a whole number from 0. Correct it with \`pulumi config set ${name} …\`.`,
    )
    .transform(Number);

/** A table or column name as Postgres has it, without quotes. */
export const identifier = (name: string) =>
  z
    .string()
    .regex(
      /^[^"\s.]+$/,
      `${name} has to be the plain name of a column, without quotes, spaces or dots. Correct it.`,
    );

export const column = (name: string, preset: string) => identifier(name).default(preset);

/** `none` says that there is no such column. */
export const optionalColumn = (name: string, preset: string | null) =>
  identifier(name)
    .optional()
    .transform((given) => (given === "none" ? null : (given ?? preset)));

/** Items between commas, semicolons or spaces. */
export const list = z
  .string()
  .default("")
  .transform((text) => text.split(/[\s,;]+/u).filter((item) => item !== ""));

export function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

export function isEncryptedOrLocal(text: string): boolean {
  if (!isWebAddress(text)) return false;
  const { protocol, hostname } = new URL(text);
  return (
    protocol === "https:" || hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]"
  );
}
