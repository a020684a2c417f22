import { expect, test } from "vitest";

import { withoutLiterals } from "../../../providers/postgres/without-literals";

test.each([
  ["u.email = 'someone@example.com'", "u.email = ?"],
  ["u.name = 'O''Brien' and u.role in ('a', 'b')", "u.name = ? and u.role in (?, ?)"],
  ["u.created_at > now() - interval '2 years'", "u.created_at > now() - interval ?"],
  [
    "u.user_id <= 4711 and u.score > .5 and u.address2 is null",
    "u.user_id <= ? and u.score > ? and u.address2 is null",
  ],
  ["u.name ~ E'^Sam'", "u.name ~ E?"],
  ["u.name = E'Sam\\'s' or u.name = 'Kim'", "?"],
  ["u.name = $$Sam$$ or u.name = $q$it's $$ Kim$q$", "u.name = ? or u.name = ?"],
  ["u.id > 5 -- without Sam\nand true", "u.id > ? \nand true"],
  ["true /* Sam /* and */ Kim */ and u.a is null", "true  and u.a is null"],
  ["true /* Sam", "true"],
  ["u.name = 'Sam", "u.name = ?"],
  ['u."createdAt" is null and u.email = "someone@example.com"', 'u."createdAt" is null and u.email = "?"'],
])("%j is shown as %j", (sql, shown) => {
  expect(withoutLiterals(sql)).toBe(shown);
});
