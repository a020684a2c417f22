/** A short name may stand by chance inside of a ciphertext, a fingerprint or an id: it counts as a word of its own. */
export function holds(text: string, secret: string): boolean {
  if (secret.length > 6) return text.includes(secret);
  return new RegExp(`(?<![\\w+/=-])${secret}(?![\\w+/=-])`).test(text);
}
