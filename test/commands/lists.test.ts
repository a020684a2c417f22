import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { ensureUser } from "../../providers/clerk-user/lifecycle";
import { ensureNotification } from "../../providers/notification/lifecycle";
import { finishRun, startRun } from "../../providers/postgres/ledger-runs";
import { clerkUser } from "../../sandbox/clerk/new-user";
import { signIn } from "../../sandbox/clerk/sign-in";
import { MARCUS, openTestSystems, SARAH, type TestSystems } from "../systems";
import { runCommand } from "./run-command";

let on: TestSystems;
let files: string;
beforeEach(async () => {
  on = await openTestSystems();
  files = await mkdtemp(join(tmpdir(), "clerk-migration-lists-"));
});
afterEach(async () => {
  await on.close();
  await rm(files, { recursive: true });
});

/** Sarah is migrated, told and has arrived; Marcus is migrated, and the mail was refused. */
async function twoLives(): Promise<void> {
  for (const { userId } of [SARAH, MARCUS]) await ensureUser(on.systems, await on.declared(userId));
  await ensureNotification(on.systems, await on.notification(SARAH.userId));
  await signIn(on.clerk.issuer, { identifier: SARAH.email, password: SARAH.password });
  const body = { errors: [{ code: "not_allowed_access", message: `no ${MARCUS.email}` }] };
  on.clerk.faults.add({ on: "POST /invitations", effect: { type: "answer", status: 403, body } });
  await ensureNotification(on.systems, await on.notification(MARCUS.userId));
  on.clerk.faults.clear();
}

const entries = z.array(z.record(z.string(), z.union([z.string(), z.number()])));
const byId = (a: Record<string, string | number>, b: Record<string, string | number>) =>
  String(a.userId) < String(b.userId) ? -1 : 1;
const list = async (what: string, ...more: string[]) =>
  runCommand(on, "export", ["--what", what, "--format", "json", ...more]);
const listed = async (what: string, ...more: string[]) =>
  entries.parse(JSON.parse((await list(what, ...more)).printed));

describe("export", () => {
  test("lists who is migrated, who has not arrived, what failed and what is blocked", async () => {
    await twoLives();
    on.clerk.store.putUser(clerkUser({ id: "user_other", email: "priya.nair@example.com" }));

    expect((await listed("migrated")).map(({ userId }) => userId).sort()).toEqual(
      [SARAH.userId, MARCUS.userId].sort(),
    );
    const stragglers = await listed("stragglers");
    expect(stragglers).toMatchObject([{ userId: MARCUS.userId, toldAt: "", days: 0 }]);
    const failures = await listed("failed");
    expect(failures).toMatchObject([{ userId: MARCUS.userId, what: "mail" }]);
    expect(JSON.stringify(failures)).not.toContain(MARCUS.email);
    const blocked = await listed("blocked");
    expect(blocked.every(({ code, remedy }) => code === "email-taken" && remedy !== "")).toBe(true);
  });

  test("lists who has to set a new password, and why, as the plan has it of each user", async () => {
    await on.query("update users set password_hash = 'md5' where user_id = $1", [SARAH.userId]);
    await ensureUser(on.systems, await on.declared(SARAH.userId));
    on.decide({ [MARCUS.userId]: { passwords: "reset" } });
    const inDecisions = { config: { decisions: on.settings().decisions } };
    const named = await runCommand(on, "export", ["new-password", "--format", "json"], inDecisions);
    expect(entries.parse(JSON.parse(named.printed)).toSorted(byId)).toMatchObject(
      [
        { userId: SARAH.userId, code: "hash", reason: "Clerk takes no hash of this form" },
        { userId: MARCUS.userId, code: "decision", reason: "a decision says so" },
      ].toSorted(byId),
    );
    expect(named.printed).not.toContain(SARAH.email);
    const plan = await runCommand(on, "plan", ["--json"], inDecisions);
    const { users } = z
      .object({ users: z.array(z.object({ userId: z.string(), newPassword: z.string().nullable() })) })
      .parse(JSON.parse(plan.printed));
    const reasons = new Map(users.map(({ userId, newPassword }) => [userId, newPassword]));
    expect([reasons.get(SARAH.userId), reasons.get(MARCUS.userId)]).toEqual(["hash", "decision"]);
    expect([...reasons.values()].filter((reason) => reason !== null)).toHaveLength(2);

    // Whoever has set one, in whatever way, is done.
    const live = on.live(SARAH.userId);
    if (live !== undefined) on.clerk.store.changeUser(live.id, { lastSignInAt: Date.now() });
    const flag = await runCommand(on, "export", ["--what", "new-password", "--format", "json"], inDecisions);
    expect(entries.parse(JSON.parse(flag.printed)).map(({ userId }) => userId)).toEqual([MARCUS.userId]);
  });

  test("masks addresses unless it is told to reveal them", async () => {
    await twoLives();
    const masked = await list("migrated");
    expect(masked.output).not.toContain(SARAH.email);
    expect((await list("migrated", "--reveal")).printed).toContain(SARAH.email);
  });

  test("writes CSV that no spreadsheet takes for a formula, and YAML", async () => {
    await on.query("update users set email = '=cmd|x@' where user_id = $1", [SARAH.userId]);
    const csv = await runCommand(on, "export", ["--what", "blocked", "--reveal"]);
    expect(csv.exitCode, csv.output).toBe(0);
    expect(csv.printed.split("\n")[0]).toBe("userId,email,code,reason,remedy");
    expect(csv.printed).toContain(",'=cmd|x@,");
    const yaml = await runCommand(on, "export", ["--what", "blocked", "--format", "yaml"]);
    expect(entries.parse(parse(yaml.printed))).toMatchObject([{ userId: SARAH.userId }]);
  });

  test("keeps a file to its owner, also one that others could read", async () => {
    const file = join(files, "migrated.csv");
    await writeFile(file, "old", { mode: 0o644 });
    await twoLives();
    const run = await runCommand(on, "export", ["--what", "migrated", "--out", file]);
    expect(run).toMatchObject({ exitCode: 0, printed: "" });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readFile(file, "utf8")).trim().split("\n")).toHaveLength(3);
  });

  test("says which lists and formats there are", async () => {
    const run = await runCommand(on, "export", ["--what", "everybody"]);
    expect(run).toMatchObject({ exitCode: 1, printed: "" });
    expect(run.output).toContain(
      "--what has to be one of failed, blocked, stragglers, migrated, new-password.",
    );
  });
});

describe("history", () => {
  test("tells what happened to a user, in order, in words", async () => {
    await twoLives();
    const { printed, exitCode } = await runCommand(on, "history", [MARCUS.userId]);
    expect(exitCode).toBe(0);
    expect(
      printed
        .trim()
        .split("\n")
        .map((line) => line.replace(/^\S+ \S+ UTC {2}/, "")),
    ).toEqual([
      "is about to be created in Clerk, or taken over",
      "is in Clerk, and the row is linked",
      "mail: about to be sent",
      expect.stringMatching(/^mail: not sent \(clerk-/),
    ]);
    expect(printed).not.toContain(MARCUS.email);
  });

  test("lists the runs, and what happened in one of them", async () => {
    const counts = { create: 1 };
    const id = await startRun(on.systems.database, {
      owner: on.migration,
      ...{ engine: { host: "", address: "" }, removable: [] },
      operator: "ada",
      commit: "0123456789abcdef",
      planned: counts,
    });
    await ensureUser(on.systems, await on.declared(SARAH.userId));
    await finishRun(on.systems.database, id, { migrated: 1 });
    await ensureUser(on.systems, await on.declared(MARCUS.userId));

    const runs = await runCommand(on, "history");
    expect(runs.printed).toMatch(
      new RegExp(
        `^#${id} {2}\\S+ \\S+ UTC {2}\\d+ s {2}by ada at 0123456789ab {2}planned 1 create; then 1 migrated; 0 requests\n$`,
      ),
    );
    const events = await runCommand(on, "history", ["--run", id, "--json"]);
    expect(JSON.parse(events.printed)).toMatchObject([
      { userId: SARAH.userId, status: "creating" },
      { userId: SARAH.userId, status: "linked" },
    ]);
  });

  test("says where the ledger knows nothing", async () => {
    for (const args of [["nobody"], ["--run", "99"], []]) {
      const run = await runCommand(on, "history", args);
      expect(run).toMatchObject({ exitCode: 1, printed: "" });
      expect(run.output).toMatch(/^The ledger knows/m);
      expect(run.output).not.toMatch(/^\s+at /m);
    }
  });
});
