/** In the order in which they hide one another: comments, strings, dollar-quoted strings, quoted names, numbers. */
const TOKEN =
  /--[^\n]*|\/\*[^]*\*\/|\/\*[^]*$|'(?:[^']|'')*(?:'|$)|\$((?:[^\s$\d][^\s$]*)?)\$[^]*?(?:\$\1\$|$)|"(?:[^"]|"")*(?:"|$)|(?<![\w$])\.?\d[\w.]*/g;

/** A name that is one word can be no address and no sentence. */
const PLAIN_NAME = /^"\w+"$/;

/**
 * SQL as it may be shown: each literal is a `?`, and comments are left out. Literals name people; names of columns and
 * functions do not. Says too little rather than too much where it cannot be read with certainty.
 */
export function withoutLiterals(sql: string): string {
  // Whether a backslash goes with the quote behind it depends on the string, and on a setting of the server.
  if (sql.includes("\\'")) return "?";
  return sql
    .replace(TOKEN, (token) => {
      if (token.startsWith("--") || token.startsWith("/*")) return "";
      if (token.startsWith('"')) return PLAIN_NAME.test(token) ? token : '"?"';
      return "?";
    })
    .trim();
}
