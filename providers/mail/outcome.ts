import { z } from "zod";

/**
 * Where it ended. connection: before the server was ready for a mail. conversation: it hung up, or said nothing more, about this
 * one, before the message.
 */
export type MailStage = "connection" | "login" | "sender" | "conversation" | "recipient" | "message";

/**
 * refused: not sent, and sending it again unchanged would not help. deferred: not sent this time. unknown: the server
 * may have it, so that sending it again may send it twice.
 */
export type MailOutcome =
  | { readonly outcome: "accepted" }
  | {
      readonly outcome: "refused" | "deferred" | "unknown";
      readonly stage: MailStage;
      /** The server's codes, `550 5.1.1`; never its text, which likes to quote the address. null: no readable reply. */
      readonly reply: string | null;
    };

/** nodemailer's errors, as much of them as tells what happened. */
const failure = z.object({
  code: z.string().optional().catch(undefined),
  command: z.string().optional().catch(undefined),
  response: z.string().optional().catch(undefined),
  responseCode: z.int().optional().catch(undefined),
});
type Failure = z.infer<typeof failure>;

/** What nodemailer finds out by itself about a mail, before it sends anything of it. */
const FAULTS_OF_THE_MAIL = ["EENVELOPE", "EMESSAGE", "ESTREAM", "EREQUIRETLS", "EAUTH", "ENOAUTH"];

/**
 * What would be so for every mail: nobody has to wait for each of them. Everything else is about one mail alone, and healthy
 * recipients get theirs.
 */
const outages: Readonly<Record<MailStage, readonly MailOutcome["outcome"][]>> = {
  connection: ["refused", "deferred"],
  login: ["refused", "deferred"],
  sender: ["refused"],
  conversation: [],
  recipient: [],
  message: [],
};

export function isOutage(outcome: MailOutcome): boolean {
  return outcome.outcome !== "accepted" && outages[outcome.stage].includes(outcome.outcome);
}

/** How far it had come. begun: at least a byte of the message was handed over, after the server had agreed to DATA. */
export type Progress = "nothing" | "connected" | "begun";

export function outcomeOf(error: unknown, progress: Progress): MailOutcome {
  const found: Failure = failure.safeParse(error).data ?? {};
  const begun = progress === "begun";
  const before = stageOf(found);
  const stage = begun
    ? "message"
    : before === "connection" && progress === "connected"
      ? "conversation"
      : before;
  const reply = replyOf(found);
  // A negative reply to the message is an answer; anything else leaves open whether the message arrived.
  if (begun && (found.command !== "DATA" || reply === null)) return { outcome: "unknown", stage, reply };
  if (reply !== null) return { outcome: reply.startsWith("5") ? "refused" : "deferred", stage, reply };
  const isFinal = FAULTS_OF_THE_MAIL.includes(found.code ?? "");
  return { outcome: isFinal ? "refused" : "deferred", stage, reply };
}

function stageOf({ code, command = "CONN" }: Failure): MailStage {
  if (code === "EAUTH" || code === "ENOAUTH" || command.startsWith("AUTH")) return "login";
  if (code === "EMESSAGE" || code === "ESTREAM" || command === "DATA") return "message";
  if (command === "MAIL FROM") return "sender";
  if (command === "RCPT TO" || code === "EENVELOPE") return "recipient";
  return "connection";
}

/** The reply code and the enhanced one of RFC 3463, which are numbers and nothing else. */
function replyOf({ response, responseCode }: Failure): string | null {
  if (responseCode === undefined || responseCode < 400 || responseCode > 599) return null;
  const enhanced = /^\d{3}[ -]([45]\.\d{1,3}\.\d{1,3})\b/.exec(response ?? "")?.[1];
  return enhanced === undefined ? responseCode.toString() : `${responseCode.toString()} ${enhanced}`;
}

const stages: Readonly<Record<MailStage, string>> = {
  connection: "while connecting",
  login: "at the login",
  sender: "for the sender's address",
  conversation: "because it hung up, or said nothing more",
  recipient: "for the recipient's address",
  message: "for the message",
};

/** For a person: what became of the mail and what to do. Empty remedy: nothing. */
export function explainOutcome(outcome: MailOutcome): { readonly reason: string; readonly remedy: string } {
  if (outcome.outcome === "accepted") return { reason: "The mail server took the mail.", remedy: "" };
  const { stage, reply } = outcome;
  const said = reply === null ? "" : ` (${reply})`;
  switch (outcome.outcome) {
    case "refused":
      return {
        reason: `The mail server refused the mail ${stages[stage]}${said}; it was not sent.`,
        remedy: remedies[stage],
      };
    case "deferred":
      return {
        reason: `The mail could not be sent now, ${stages[stage]}${said}; it was not sent.`,
        remedy: `The next \`up\` tries again. If it goes on: ${remedies[stage]}`,
      };
    case "unknown":
      return {
        reason: `Nobody knows whether the mail was sent${said}: the mail server never said whether it took the message.`,
        remedy: "Look into the mail server's log before it is sent again.",
      };
  }
}

const remedies: Readonly<Record<MailStage, string>> = {
  connection: "Check the server and port in SMTP_URL.",
  login: "Check user and password in SMTP_URL.",
  sender: "Check MAIL_FROM: the server has to allow that sender.",
  conversation: "Look into the mail server's log for what it has against this mail.",
  recipient: "Check the address.",
  message: "Look the code up in the mail provider's documentation.",
};
