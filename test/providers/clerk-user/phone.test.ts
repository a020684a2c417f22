import { expect, test } from "vitest";

import { phoneNumberFlaw, phoneNumberOf } from "../../../providers/clerk-user/phone";

test.each([
  ["+44 (0)20 7946 0018", "+442079460018", true],
  ["+44(0) 20-7946-0018", "+442079460018", true],
  ["+49 (0) 30 123456", "+4930123456", true],
  ["+41 (0)44 668 18 00", "+41446681800", true],
  ["+1 (415) 555-2671", "+14155552671", false],
  ["+44 (20) 7946 0018", "+442079460018", false],
  ["+39 (0)6 1234567", "+39061234567", false],
  ["+39 06 1234567", "+39061234567", false],
])("%s is the number %s (a zero is left out: %s)", (text, number, hasTrunkZero) => {
  expect(phoneNumberOf(text)).toEqual({ number, hasTrunkZero });
  expect(phoneNumberFlaw(number)).toBeUndefined();
});

test.each(["+44 020 7946 0018", "020 7946 0018", "0044 20 7946 0018", "+44 20 7946 0018 x12", "+12"])(
  "%s is no number that Clerk takes",
  (text) => {
    expect(phoneNumberFlaw(phoneNumberOf(text).number)).toBeDefined();
  },
);

test("no number is nothing to object to", () => {
  expect(phoneNumberFlaw(phoneNumberOf("  ").number)).toBeUndefined();
});
