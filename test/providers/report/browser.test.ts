import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { reportOf } from "../../../providers/report/model";
import { pageOf } from "../../../providers/report/page";
import { findChromium } from "../../browser";
import { factsOfMany } from "../../report-facts";

const COUNT = 2_000;
const HOSTILE = `</script><img src=x onerror="document.title='taken over'">@x.example`;

const executablePath = findChromium();
if (executablePath === undefined)
  process.stderr.write("There is no Chromium here, so nobody looks at the report in a browser.\n");

describe.skipIf(executablePath === undefined)("in a browser, a report", () => {
  const facts = factsOfMany(COUNT, { isRevealed: true, label: HOSTILE });
  let directory: string;
  let browser: Browser;
  let page: Page;
  const requests: string[] = [];
  const complaints: string[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "clerk-migration-report-"));
    const file = join(directory, "report.html");
    await writeFile(file, pageOf(reportOf(facts)));
    // In a container there is no user to sandbox the browser with.
    browser = await chromium.launch({ executablePath: executablePath ?? "", args: ["--no-sandbox"] });
    page = await browser.newPage();
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(`file://${file}`);
  });
  afterAll(async () => {
    await browser.close();
    await rm(directory, { recursive: true });
  });

  const cells = (key: string) =>
    page.locator(`#users-table [data-key="${key}"]:not(thead *)`).allTextContents();
  const range = () => page.locator("#users-range").textContent();
  const head = (title: string) => page.getByRole("button", { name: title, exact: true });

  test("shows the numbers of the funnel, for eyes and for screen readers", async () => {
    const { funnel } = facts.outputs;
    await page.locator("#funnel summary").click();
    const table = page.getByRole("table", { name: "Users at each step" });
    const row = table.getByRole("row", { name: "signed in" });
    expect(await row.getByRole("cell").first().textContent()).toBe(funnel.signedIn.toLocaleString("en"));
    const chart = page.getByRole("img", { name: `signed in ${funnel.signedIn.toLocaleString("en")}` });
    expect(await chart.isVisible()).toBe(true);
    expect(await chart.locator("svg:visible text").allTextContents()).toContain("2,000 (100 %)");
  });

  test("lists 50 users at a time, and what they are called is text", async () => {
    expect(await cells("label")).toHaveLength(50);
    expect((await cells("label"))[0]).toBe(HOSTILE);
    expect((await cells("id"))[0]).toBe(facts.plan.users[0]?.userId);
    expect(await range()).toBe("1–50 of 2,000");
    await page.getByRole("button", { name: "Next" }).click();
    expect(await range()).toBe("51–100 of 2,000");
    expect((await cells("id"))[0]).toBe(facts.plan.users[50]?.userId);
    await page.getByRole("button", { name: "Previous" }).click();
    expect(await page.title()).toContain("Users moving to Clerk");
  });

  test("sorts by a column from the keyboard, one way and the other", async () => {
    const all = facts.plan.users.map(({ userId }) => userId).sort();
    await head("user_id").focus();
    await page.keyboard.press("Enter");
    expect(await cells("id")).toEqual(all.slice(0, 50));
    await page.keyboard.press("Enter");
    expect(await cells("id")).toEqual(all.toReversed().slice(0, 50));
    expect(await page.locator("th[data-key=id]").getAttribute("aria-sort")).toBe("descending");
    await head("Signed in").click();
    await head("Signed in").click();
    const days = await cells("signedIn");
    expect(days).toEqual([...days].sort().reverse());
    expect(days[0]).toMatch(/^2026-/);
  });

  test("finds users by a part of what it says of them, and by their state", async () => {
    const someone = facts.plan.users[1_234]?.userId ?? "";
    await page.getByRole("searchbox", { name: "Search" }).fill(someone.slice(0, 18).toUpperCase());
    await expect.poll(range).toBe("1–1 of 1");
    expect(await cells("id")).toEqual([someone]);
    await page.getByRole("searchbox", { name: "Search" }).fill("");
    await page.getByRole("combobox", { name: "State" }).selectOption("blocked");
    await expect.poll(range).toBe("1–50 of 50");
    expect(new Set(await cells("note"))).toEqual(new Set(["has the same address as another row"]));
    await page.getByRole("searchbox", { name: "Search" }).fill("nobody at all");
    await expect.poll(range).toBe("Nobody is found.");
  });

  test("is as wide as the window, on a phone, on a desk and on paper", async () => {
    const width = () => page.evaluate("document.documentElement.scrollWidth");
    for (const wanted of [320, 390, 800, 1400]) {
      await page.setViewportSize({ width: wanted, height: 800 });
      expect(await width()).toBe(wanted);
    }
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 720, height: 1000 });
    expect(await width()).toBe(720);
    await page.emulateMedia({ media: "screen" });
  });

  test("asks for nothing but itself, and nothing in it fails", () => {
    expect(requests).toHaveLength(1);
    expect(complaints).toEqual([]);
  });
});
