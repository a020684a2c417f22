import { describe, expect, test } from "vitest";

import { flagReading, isFlagUp, utcTimestamp } from "../../../providers/postgres/times";

const NOW = Date.parse("2026-01-01");

describe("a flag", () => {
  test.each([
    [null, false, false],
    ["", false, false],
    ["false", false, false],
    ["0", false, false],
    ["true", true, true],
    ["1", true, true],
    ["yes", true, true],
    ["2021-01-01T00:00:00+00:00", true, false],
    ["2021-01-01", true, false],
    ["2999-01-01T00:00:00", false, true],
    ["infinity", false, true],
    ["12000-01-01T00:00:00", false, true],
    ["-infinity", false, false],
    ["0001-01-01T00:00:00", false, false],
    ["0000-00-00 00:00:00", false, false],
    ["1970-01-01T00:00:00+00:00", false, false],
    ["0044-03-15T00:00:00 BC", false, false],
    ["1609459200", true, false],
    ["1609459200000", true, false],
    ["32503680000000", false, true],
  ])("of %j is up since then: %s; until then: %s", (text, since, until) => {
    expect([isFlagUp(text, "since", NOW), isFlagUp(text, "until", NOW)]).toEqual([since, until]);
  });

  test.each([
    ["banned_until", "until"],
    ["ban_end", "until"],
    ["banExpires", "until"],
    ["ban_expires_at", "until"],
    ["suspension_ended_at", "until"],
    ["banned_at", "since"],
    ["suspended_on", "since"],
    ["suspend", "since"],
    ["banned_since", "since"],
    ["banned", "since"],
  ])("in %s is read as a time %s which it holds", (column, reading) => {
    expect(flagReading(column)).toBe(reading);
  });
});

test.each([
  ["2024-02-03T04:05:06.789+00:00", "2024-02-03T04:05:06.789Z"],
  ["2024-02-03T04:05:06", "2024-02-03T04:05:06.000Z"],
  ["2024-02-03", "2024-02-03T00:00:00.000Z"],
  ["infinity", null],
  ["-infinity", null],
  ["0001-01-01T00:00:00+00:00", null],
  ["1970-01-01T00:00:00+00:00", null],
  ["10000-01-01T00:00:00+00:00", null],
  ["yesterday", null],
  [null, null],
])("the date %j is sent as %j", (text, sent) => {
  expect(utcTimestamp(text)).toBe(sent);
});
