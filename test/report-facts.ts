import { failuresByReason, funnelOf, livesOf, stragglersOf } from "../providers/funnel";
import type { Plan, PlannedUser } from "../providers/planned";
import type { Ledger, LedgerNotification, LedgerUser } from "../providers/postgres/ledger";
import type { ReportFacts } from "../providers/report/model";

const STACK = "clerk-migration/test";
const DAY = 86_400_000;
const NOW = Date.parse("2026-03-01T12:00:00Z");
const INSTANCE = "ins_1";

const quiet = {
  hour: { count: 0, oldest: null },
  day: { count: 0, oldest: null },
  thisMonth: null,
  problem: "",
} as const;

/** Random-looking, and the same every time. */
const hash = (number: number) => Math.imul(number ^ 0x5bd1e995, 0x9e3779b1) >>> 0;

function uuidOf(number: number): string {
  const hex = [1, 2, 3, 4]
    .map((part) =>
      hash(number * 4 + part)
        .toString(16)
        .padStart(8, "0"),
    )
    .join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export interface ManyOptions {
  readonly isRevealed?: boolean;
  /** Of the first user. */
  readonly label?: string;
}

/** A stack of so many users of 2,000 mail domains, most of them migrated over 60 days, told, and signed in. */
export function factsOfMany(count: number, { isRevealed = false, label }: ManyOptions = {}): ReportFacts {
  const numbers = Array.from({ length: count }, (_, number) => number);
  const users: PlannedUser[] = numbers.map((number) => ({
    userId: uuidOf(number),
    label: label !== undefined && number === 0 ? label : labelOf(number, isRevealed),
    createdAt: "2024-01-02T03:04:05.000Z",
    verdict: isBlocked(number) ? "blocked" : "unchanged",
    code: isBlocked(number) ? "same-address" : "held",
    reason: isBlocked(number) ? `has the same address as another row (${uuidOf(number + 1)})` : "",
    remedy: isBlocked(number) ? "Clerk takes an address once." : "",
    notes: [],
    declared: null,
    told: isTold(number) ? "sent" : "later",
    way: "invitation",
    notifications: [],
    isReminderPending: false,
    takesBack: false,
    newPassword: null,
    isAdopted: false,
    unknownMail: 0,
    retire: "never",
    retirement: null,
  }));
  const plan: Plan = {
    users,
    mails: {
      invitations: quiet,
      own: quiet,
      firstOwn: null,
      found: new Set(),
      invitedByOthers: new Set(),
      now: NOW,
    },
    remindersOut: 0,
    findings: [],
    removals: [],
    idleDecisions: [],
  };
  const linked = numbers.filter((number) => !isBlocked(number));
  const ledger: Ledger = {
    users: new Map(linked.map((number) => [uuidOf(number), ledgerUser(number)])),
    notifications: new Map(linked.filter(isTold).map((number) => [uuidOf(number), mail(number)])),
    reminders: new Map(),
    retired: new Map(),
  };
  const arrivals = new Map(
    linked
      .filter((number) => hash(number) % 3 > 0)
      .map((number) => [
        `user_${number.toString()}`,
        Math.min(NOW, linkedAt(number) + (hash(number) % 9) * DAY),
      ]),
  );
  const lives = livesOf(ledger, STACK, arrivals);
  const blocked = users.filter(({ verdict }) => verdict === "blocked");
  const zero = { sent: 0, rehearsed: 0, failed: 0, unknown: 0, pending: 0, reminded: 0, hoursLeft: 0 };
  return {
    stack: STACK,
    clerkInstanceId: INSTANCE,
    plan,
    ledger,
    arrivals,
    outputs: {
      counts: { total: count, linked: linked.length, legacy: blocked.length, withPassword: count },
      summary: {
        ...{ processed: linked.length, migrated: linked.length, adopted: 0, failed: 0 },
        ...{ blocked: blocked.length, excluded: 0 },
      },
      ...{ failed: [], blocked, excluded: [] },
      notifications: { ...zero, failures: [] },
      funnel: funnelOf(plan, ledger, STACK, lives),
      stragglers: stragglersOf(lives, NOW),
      failuresByReason: failuresByReason({ users: [], rows: blocked, mails: [], digests: [] }),
      clerkInstanceId: INSTANCE,
      readme: "",
    },
    runs: [],
    settings: { invitationsPerHour: 0, mailsPerHour: 0, mailsPerDay: 0, mailWarmUp: [] },
    isRevealed,
    now: NOW,
  };
}

const isBlocked = (number: number) => number % 40 === 7;
const isTold = (number: number) => hash(number) % 10 > 0;
const linkedAt = (number: number) => NOW - (hash(number) % 60) * DAY;

function labelOf(number: number, isRevealed: boolean): string {
  const letters = hash(number).toString(36);
  const domain = number % 3 === 0 ? "example.com" : `mail${(hash(number) % 2_000).toString()}.example`;
  const local = isRevealed
    ? `${letters}.${number.toString()}`
    : `${letters[0] ?? ""}***${letters.at(-1) ?? ""}`;
  return `${local}@${domain}`;
}

function ledgerUser(number: number): LedgerUser {
  return {
    userId: uuidOf(number),
    stack: STACK,
    clerkInstanceId: INSTANCE,
    clerkUserId: `user_${number.toString()}`,
    origin: "created",
    isExternalIdSet: false,
    status: "linked",
    passwords: "carry",
    digestFingerprint: `digest of ${number.toString()}`,
    profileFingerprint: `profile of ${number.toString()}`,
    clerkPasswordAt: null,
    attempt: 1,
    linkedAt: new Date(linkedAt(number)),
    arrivedAt: null,
    failure: null,
  };
}

function mail(number: number): LedgerNotification {
  return {
    userId: uuidOf(number),
    number: 0,
    way: "invitation",
    stack: STACK,
    clerkInstanceId: INSTANCE,
    credentialId: `inv_${number.toString()}`,
    emailFingerprint: `address of ${number.toString()}`,
    status: "sent",
    attempt: 1,
    sentAt: new Date(linkedAt(number)),
    failure: null,
  };
}
