/** As many as fit into a sentence: `a, b, c, …`. */
export function firstFew(items: readonly string[], most: number): string {
  return items.slice(0, most).join(", ") + (items.length > most ? ", …" : "");
}

/** The same of users, by their `user_id`. */
export function firstUsers(users: readonly { readonly userId: string }[], most: number): string {
  return firstFew(
    users.map(({ userId }) => userId),
    most,
  );
}
