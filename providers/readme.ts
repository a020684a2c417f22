import type { FailureGroup, Funnel, Stragglers } from "./funnel";

export interface ReadmeFacts {
  /** `<project>/<stack>`. */
  readonly stack: string;
  readonly clerkInstanceId: string;
  readonly funnel: Funnel;
  readonly stragglers: readonly Stragglers[];
  readonly failuresByReason: readonly FailureGroup[];
  /** Mails whose turn has not come. */
  readonly mailsPending: number;
}

/** The stack's page in Pulumi's console, in Markdown: numbers only, nobody by name or id. */
export function readmeOf(facts: ReadmeFacts): string {
  const { stack, clerkInstanceId, funnel, stragglers } = facts;
  const waiting = stragglers.filter(({ users }) => users > 0);
  return [
    `# Users moving to Clerk: ${inline(stack)}`,
    `${funnel.linked.toString()} of ${funnel.legacy.toString()} legacy users are in the Clerk instance ${inline(clerkInstanceId)}; ${funnel.signedIn.toString()} of them have signed in there.`,
    table(
      ["step", "users", "of legacy"],
      funnelSteps(funnel).map(([step, users]) => [step, users.toString(), share(users, funnel.legacy)]),
    ),
    "## Next",
    nextSteps(facts)
      .map((step) => `- ${step}`)
      .join("\n"),
    ...(waiting.length === 0
      ? []
      : [
          "## Not signed in yet",
          "By the time since they were told, or linked where nobody is told.",
          table(
            ["since", "users"],
            waiting.map(({ age, users }) => [age, users.toString()]),
          ),
        ]),
    ...(facts.failuresByReason.length === 0
      ? []
      : [
          "## Failures",
          table(
            ["what", "users", "reason", "remedy"],
            facts.failuresByReason.map(({ what, users, reason, remedy }) => [
              what,
              users.toString(),
              reason,
              remedy,
            ]),
          ),
        ]),
    "`npm run report` draws all this as a page of its own; `npm run verify` checks both systems.",
  ].join("\n\n");
}

/** In the order in which a user takes them. */
export function funnelSteps(funnel: Funnel): [step: string, users: number][] {
  return [
    ["legacy", funnel.legacy],
    ["created in Clerk", funnel.created],
    ["linked", funnel.linked],
    ["told", funnel.told],
    ["signed in", funnel.signedIn],
    ["digest retired", funnel.digestsRetired],
    ["digest purged", funnel.digestsPurged],
  ];
}

/** What a person would do now, the most urgent first. */
export function nextSteps({
  funnel,
  stragglers,
  failuresByReason,
  mailsPending,
}: Omit<ReadmeFacts, "stack" | "clerkInstanceId">): string[] {
  const count = (what: FailureGroup["what"]) =>
    failuresByReason.filter((group) => group.what === what).reduce((sum, { users }) => sum + users, 0);
  const [failed, blocked, mails] = [count("user"), count("row"), count("mail")];
  const left = funnel.legacy - funnel.linked - blocked - failed;
  const old = stragglers.at(-1)?.users ?? 0;
  const some = (number: number, what: "user" | "row" | "legacy user" | "mail") =>
    `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
  const steps = [
    failed === 0 ? "" : `${some(failed, "user")} failed: see the remedies, then run up again.`,
    blocked === 0 ? "" : `${some(blocked, "row")} blocked: correct them, or settle them in decisions.yaml.`,
    left <= 0 ? "" : `${some(left, "legacy user")} not moved yet: run up, or widen the wave.`,
    mails === 0 ? "" : `${some(mails, "mail")} not sent, or perhaps not: the next up sees to them.`,
    mailsPending === 0
      ? ""
      : `${some(mailsPending, "mail")} pending: run up every hour (npm run up -- --until-done).`,
    old === 0 ? "" : `${some(old, "user")} not signed in for over 30 days: remind them.`,
  ].filter((step) => step !== "");
  return steps.length === 0 ? ["Nothing is left to do but to wait for sign-ins."] : steps;
}

export function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${Math.round((part / whole) * 100).toString()} %`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(inline).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What Clerk says can be anything: it must neither end a cell, nor be markup, nor name an output (`${…}`). */
function inline(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>|$]/g, "\\$&");
}
