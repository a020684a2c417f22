/** As many as fit into a sentence: `a, b, c, …`. */
export function firstFew(items: readonly string[], most: number): string {
  return items.slice(0, most).join(", ") + (items.length > most ? ", …" : "");
}
