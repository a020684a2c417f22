/** One column of a long table: each distinct value once, and for every row the number of its value. */
export interface Column {
  /** In order, so that numbers sort as their values do. */
  readonly values: readonly string[];
  /** Digits of each number. */
  readonly width: number;
  /** The numbers of all rows one after the other, to base 36. */
  readonly codes: string;
}

/** Ids are all different. UUIDs fit into 16 bytes each, base64; others stay as they are. */
export type Ids = { readonly uuids: string } | { readonly texts: readonly string[] };

const BASE = 36;

export function columnOf(texts: readonly string[]): Column {
  const values = [...new Set(texts)].sort();
  const width = Math.max(0, values.length - 1).toString(BASE).length;
  const codes = new Map(values.map((value, number) => [value, number.toString(BASE).padStart(width, "0")]));
  return { values, width, codes: texts.map((text) => codes.get(text) ?? "").join("") };
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function idsOf(ids: readonly string[]): Ids {
  if (!ids.every((id) => uuid.test(id))) return { texts: ids };
  return { uuids: Buffer.from(ids.join("").replaceAll("-", ""), "hex").toString("base64") };
}
