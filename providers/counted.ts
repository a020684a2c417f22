/** `1 mail`, `2 mails`. */
export function counted(count: number, what: string): string {
  return `${count.toString()} ${what}${count === 1 ? "" : "s"}`;
}
