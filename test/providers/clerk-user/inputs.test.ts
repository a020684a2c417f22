import fc from "fast-check";
import { expect, test } from "vitest";

import { maskedEmail, normalEmail, splitName } from "../../../providers/clerk-user/inputs";

test.each([
  ["Ada", "Ada", ""],
  ["Ada Lovelace", "Ada", "Lovelace"],
  ["  Gabriel   García  Márquez ", "Gabriel", "García Márquez"],
  ["山田　太郎", "山田", "太郎"],
  ["", "", ""],
  ["   ", "", ""],
])("splits %j into %j and %j", (name, firstName, lastName) => {
  expect(splitName(name)).toEqual({ firstName, lastName });
});

test("masks all of the local part but its first and last letter", () => {
  expect(maskedEmail("stefanie@ampdial.com")).toBe("s***e@ampdial.com");
  expect(maskedEmail("al@example.com")).toBe("a***@example.com");
  expect(maskedEmail("")).toBe("***");
  fc.assert(
    fc.property(fc.emailAddress(), (email) => {
      const local = email.slice(0, email.lastIndexOf("@"));
      fc.pre(local.length > 3);
      expect(maskedEmail(email)).not.toContain(local);
    }),
  );
});

test("addresses that differ in case and spaces are one", () => {
  expect(normalEmail("  Ada@Example.COM ")).toBe("ada@example.com");
});
