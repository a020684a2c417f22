import { afterAll, beforeAll, expect, test } from "vitest";

import { type Column, columnOf, type Ids, idsOf } from "../../../providers/report/columns";
import { type ReportFacts, reportOf } from "../../../providers/report/model";
import { pageOf } from "../../../providers/report/page";
import { seriesOf } from "../../../providers/report/series";
import { sampleUsers } from "../../../sandbox/sample-users";
import { factsOfMany } from "../../report-facts";
import { factsOf, live, story } from "../../scripted-life";
import type { TestSystems } from "../../systems";

const HOSTILE = `</script><img src=x onerror=alert(1)>@"&'.example`;

let on: TestSystems;
let facts: ReportFacts;
let page: string;
beforeAll(async () => {
  on = await live();
  facts = await factsOf(on);
  page = pageOf(reportOf(facts));
});
afterAll(() => on.close());

const digests = sampleUsers.flatMap(({ passwordDigest }) => passwordDigest ?? []);
const addresses = sampleUsers.map(({ email }) => email);
const names = sampleUsers.flatMap(({ name }) => name?.trim() ?? []);
const holding = (text: string, values: readonly string[]) => values.filter((value) => text.includes(value));
/** A revealed address stands in the file in two parts. */
const locals = addresses
  .map((address) => address.slice(0, address.lastIndexOf("@")))
  // Shorter ones are parts of common words.
  .filter((local) => local.length > 5);

test("a report holds no digest and no fingerprint of one, and no key, name or address", () => {
  const fingerprints = [...facts.ledger.users.values()].flatMap(
    ({ digestFingerprint, profileFingerprint }) => [
      ...(digestFingerprint === null ? [] : [digestFingerprint]),
      ...(profileFingerprint === null ? [] : [profileFingerprint]),
    ],
  );
  expect(fingerprints.length).toBeGreaterThan(30);
  const secrets = [on.clerk.secretKey, ...digests, ...fingerprints];
  expect(holding(page, [...secrets, ...names, ...addresses, ...locals])).toEqual([]);
});

test("a report that is asked to reveals addresses, and says so, but never a digest", async () => {
  const revealed = pageOf(reportOf(await factsOf(on, true)));
  expect(holding(revealed, locals).length).toBeGreaterThan(30);
  expect(revealed).toContain("Addresses are whole");
  expect(page).toContain("Addresses are masked");
  expect(holding(revealed, [...digests, ...names])).toEqual([]);
});

test("a report refers to nothing outside of itself", () => {
  expect(page).not.toMatch(/https?:|["'(=]\/\/|@import|url\((?!#)/i);
  expect(page).not.toMatch(/<(link|img|iframe|object|embed|base)\b/i);
  expect(page.match(/\b(src|href)="[^"]*"/g)).toEqual(['href="#users"']);
  expect(page).toContain("default-src &#39;none&#39;");
});

test("what somebody has called himself is text, in the page and in the data", () => {
  const hostile = pageOf(reportOf(factsOfMany(3, { isRevealed: true, label: HOSTILE })));
  expect(hostile).not.toContain("<img");
  expect(hostile.match(/<\/script>/g)).toHaveLength(2);
  const [, data = ""] = /id="users-data">(.*?)<\/script>/s.exec(hostile) ?? [];
  expect(data).toContain("\\u003c/script>");
  const outputs = {
    ...facts.outputs,
    failuresByReason: [{ what: "user" as const, reason: HOSTILE, remedy: HOSTILE, users: 1 }],
  };
  const said = { id: HOSTILE, operator: HOSTILE, commit: HOSTILE };
  const figures = { requests: 0, repeated: 0, limited: 0 };
  const runs = [{ ...said, ...figures, startedAt: new Date(0), finishedAt: null, planned: {}, actual: null }];
  const other = pageOf(reportOf({ ...facts, stack: HOSTILE, clerkInstanceId: HOSTILE, outputs, runs }));
  expect(other).not.toContain("<img");
  expect(other).toContain("&lt;/script&gt;&lt;img");
});

test("the figures of 30 days are in the page, with their remedies", () => {
  const { steps, failures, series, runs, stragglers } = reportOf(facts);
  expect(Object.fromEntries(steps.map(({ step, users }) => [step, users]))).toMatchObject({
    legacy: 36,
    linked: 33,
    told: story.told,
    "signed in": story.signedIn,
  });
  expect(stragglers.reduce((sum, { users }) => sum + users, 0)).toBe(33 - story.signedIn);
  expect(series.unit).toBe("day");
  expect(series.periods.at(-1)).toMatchObject({ migratedInAll: 33, signedInInAll: story.signedIn });
  expect(failures.map(({ what, users }) => [what, users])).toEqual([
    ["row", story.blocked],
    ["user", story.refused],
  ]);
  for (const { reason, remedy } of failures) {
    expect(page).toContain(reason.replaceAll("'", "&#39;"));
    expect(page).toContain(remedy.replaceAll("'", "&#39;"));
  }
  expect(runs).toHaveLength(story.waves.length);
  expect(runs[0]).toMatchObject({
    id: "3",
    operator: "ada",
    commit: "0123456789",
    requests: "0",
    duration: "1 min 35 s",
    actual: "failed 1, migrated 33",
  });
});

test("every chart has its words, and every table a caption", () => {
  const charts = page.match(/class="chart" role="img" aria-label="[^"]{20,}"/g) ?? [];
  expect(charts).toHaveLength(page.split('class="chart"').length - 1);
  expect(charts.length).toBe(4);
  expect(page.match(/<caption/g)?.length).toBe(page.match(/<table/g)?.length);
});

test("a report before the first run says so instead of failing", () => {
  const empty = pageOf(reportOf(factsOfMany(0)));
  expect(empty).toContain("Nobody is told by mail.");
  expect(empty).toContain("All 0 rows");
});

test("100,000 users are in a file below 5 MB, and each of them is there", () => {
  const report = reportOf(factsOfMany(100_000));
  expect(Buffer.byteLength(pageOf(report))).toBeLessThan(5_000_000);
  expect(report.users.count).toBe(100_000);
  const revealed = pageOf(reportOf(factsOfMany(100_000, { isRevealed: true })));
  expect(Buffer.byteLength(revealed)).toBeLessThan(6_000_000);
});

const unpack = ({ values, width, codes }: Column) =>
  Array.from({ length: codes.length / width }, (_, row) => {
    const code = codes.slice(row * width, (row + 1) * width);
    return values[parseInt(code, 36)];
  });

test("a column comes out as it went in, and its numbers are in the order of its values", () => {
  const texts = Array.from({ length: 2_000 }, (_, number) => `v${((number * 7919) % 1_500).toString()}`);
  const column = columnOf(texts);
  expect(unpack(column)).toEqual(texts);
  expect(column.values).toEqual([...new Set(texts)].sort());
  expect(unpack(columnOf(["", "a", ""]))).toEqual(["", "a", ""]);
  expect(columnOf([])).toEqual({ values: [], width: 1, codes: "" });
});

test("ids are packed only where all of them are UUIDs in lower case", () => {
  const uuid = "00112233-4455-6677-8899-aabbccddeeff";
  expect(idsOf([uuid])).toEqual<Ids>({ uuids: "ABEiM0RVZneImaq7zN3u/w==" });
  expect(idsOf([uuid, "4"])).toEqual<Ids>({ texts: [uuid, "4"] });
  expect(idsOf([uuid.toUpperCase()])).toEqual<Ids>({ texts: [uuid.toUpperCase()] });
});

test("time goes by the hour in the first days, then by the day, then by the week", () => {
  const [now, day] = [Date.parse("2026-03-01T12:30:00Z"), 86_400_000];
  expect(seriesOf([now - day], [], now)).toMatchObject({ unit: "hour" });
  expect(seriesOf([now - 30 * day], [], now)).toMatchObject({ unit: "day" });
  expect(seriesOf([now - 300 * day], [], now)).toMatchObject({ unit: "week" });
  expect(seriesOf([], [], now).periods).toHaveLength(1);
  expect(seriesOf([now - day, now], [now - 999 * day], now).periods[0]).toMatchObject({
    start: "2026-02-28 12:00",
    migrated: 1,
    signedInInAll: 1,
  });
});
