export type Verdict = "create" | "resume" | "update" | "adopt" | "unchanged" | "blocked" | "excluded";

/** What a person can write into decisions.yaml to settle a blocked row. */
export type Settlement = "skip" | "adopt" | "email" | "passwords" | "recreate" | "forget";

interface Reason {
  readonly verdict: Verdict;
  /** Reads after "the row" or "the user"; empty where the verdict says it all. */
  readonly title: string;
  readonly remedy: string;
  readonly settle: readonly Settlement[];
}

const why = (
  verdict: Verdict,
  title: string,
  remedy = "",
  settle: readonly Settlement[] = verdict === "blocked" ? ["skip"] : [],
): Reason => ({ verdict, title, remedy, settle });

/** Every reason that a row can have for its verdict, in the words that people read. */
export const reasons = {
  new: why("create", ""),
  "new-password": why(
    "create",
    "Clerk takes no password hash of this form, so the user sets a new password at the first sign-in",
  ),
  "decided-reset": why("create", "sets a new password at the first sign-in, by a decision"),
  "reserved-email": why(
    "create",
    "the address is reserved and proves nothing; Clerk asks for a new password at the first sign-in",
  ),

  "adopt-setting": why("adopt", "takes over the Clerk user who has the address"),
  "adopt-decision": why("adopt", "takes over a Clerk user, by a decision"),

  "cut-off-create": why("resume", "a run was cut off while creating this user"),
  "cut-off-adoption": why("resume", "a run was cut off while adopting a Clerk user"),
  "cut-off-rollback": why("resume", "a rollback of this user was cut off"),
  "made-already": why("resume", "this migration has made the user already, and the ledger has forgotten it"),

  "link-lost": why("update", "the link was lost"),
  "password-changed": why("update", "the legacy password has changed"),
  "row-changed": why("update", "the row has changed"),
  "clerk-is-truth": why(
    "update",
    "the row has changed, but Clerk is the truth for this user by now: nothing is overwritten",
  ),
  recreate: why("update", "was deleted in Clerk and is created anew, by a decision"),

  held: why("unchanged", ""),
  "held-banned": why(
    "unchanged",
    "is banned in the application by now, and may still sign in with Clerk: no mail, and no open link",
    "Ban the user in Clerk, too, or lift the ban in the application.",
  ),
  "held-deleted": why(
    "unchanged",
    "was deleted in the application, and may still sign in with Clerk: no mail, and no open link",
    "Delete the user in Clerk, too, or the row, and let the user go by allowRemovals.",
  ),
  kept: why("unchanged", "the row is gone, and a decision keeps the user"),
  relinked: why(
    "unchanged",
    "the row is linked to another Clerk user than ours",
    "Clear clerk_user_id of the row if ours is the right one.",
  ),

  "no-email": why("blocked", "has no e-mail address", "Add one to the row, or by a decision.", [
    "email",
    "skip",
  ]),
  "malformed-email": why(
    "blocked",
    "the e-mail address is malformed",
    "Correct it in the row, or by a decision.",
    ["email", "skip"],
  ),
  "undeliverable-email": why(
    "blocked",
    "the e-mail address is of a domain that can receive no mail",
    "Correct it, skip the row, or set allowUndeliverable where such addresses are meant.",
    ["email", "skip"],
  ),
  "same-address": why(
    "blocked",
    "has the same address as another row",
    "Clerk takes an address once: skip one of them, or give it another address.",
    ["email", "skip"],
  ),
  "same-user-id": why(
    "blocked",
    "has the same user_id as another row",
    "Give each row an id of its own. Where the key of the table has more columns, name a view with a joined key (docs/settings.md).",
  ),
  "same-username": why("blocked", "has the same user name as another row", "Change one of them."),
  "same-phone": why("blocked", "has the same phone number as another row", "Remove one of them."),
  "unverified-email": why(
    "blocked",
    "nobody has proven the e-mail address",
    "Let the user prove it, or set unverified to reserve or verify.",
  ),
  "long-name": why(
    "blocked",
    "the name is longer than Clerk takes (256 characters)",
    "Shorten it in the row.",
  ),
  "malformed-username": why(
    "blocked",
    "Clerk does not take the user name",
    "Change it in the row, or the rule in Clerk's dashboard, or send none: leave usernameColumn out.",
  ),
  "future-date": why("blocked", "was created in the future", "Correct created_at in the row."),
  "malformed-metadata": why("blocked", "the metadata is no JSON object", "Correct it in the row."),
  "large-metadata": why(
    "blocked",
    "the metadata is larger than Clerk takes (8 KB)",
    "Shorten it in the row.",
  ),
  "malformed-phone": why(
    "blocked",
    "the phone number is not in international form",
    "Correct it in the row, or leave phoneColumn out.",
  ),
  "email-taken": why(
    "blocked",
    "Clerk has a user with this address already",
    "Adopt that user if it is the same person, or change the address on one side.",
    ["adopt", "email", "skip"],
  ),
  "linked-by-row": why(
    "blocked",
    "the Clerk user who is meant is linked to another row",
    "Two rows cannot share a Clerk user: skip one, or give it another address.",
    ["email", "skip"],
  ),
  "external-id-taken": why(
    "blocked",
    "Clerk has a user with this external id already",
    "Adopt that user if it is the same person, or change its external id in Clerk.",
    ["adopt", "skip"],
  ),
  "username-taken": why("blocked", "the user name is taken in Clerk", "Change it on one side."),
  "phone-taken": why("blocked", "the phone number is taken in Clerk", "Change it on one side."),
  "not-adoptable": why("blocked", "cannot adopt the Clerk user", "Mend that in Clerk, or decide otherwise.", [
    "email",
    "skip",
  ]),
  "no-room": why(
    "blocked",
    "the Clerk instance is full",
    "Use a production instance, remove users from this one, or take on fewer with limit.",
  ),
  "email-off": why("blocked", "e-mail addresses are off in Clerk", "Turn them on in Clerk's dashboard."),
  "password-off": why(
    "blocked",
    "passwords are off in Clerk",
    "Turn them on in Clerk's dashboard, or set passwords to reset.",
    ["passwords", "skip"],
  ),
  "password-only-way": why(
    "blocked",
    "would be without a password, which is the only way to sign in there",
    "Turn on e-mail codes or links in Clerk's dashboard.",
  ),
  "attribute-missing": why(
    "blocked",
    "Clerk requires more than the row has",
    "Make it optional in Clerk's dashboard while the migration runs, or fill it in.",
  ),
  "attribute-off": why(
    "blocked",
    "the row has what is off in Clerk",
    "Turn it on in Clerk's dashboard, or leave its column out (set the column's setting to none).",
  ),
  "legal-consent": why(
    "blocked",
    "Clerk asks for consent to the terms, which the row cannot give",
    "Set legalConsent to skip if the application has that consent, or turn the question off.",
  ),
  gone: why(
    "blocked",
    "somebody deleted the user in Clerk",
    "Decide: recreate makes the user anew, forget lets go of it.",
    ["recreate", "forget"],
  ),
  "not-ours": why(
    "blocked",
    "the Clerk user no longer carries our external id and mark",
    "Restore them in Clerk, or clear the link by hand.",
    [],
  ),

  "other-stack": why("excluded", "belongs to another stack"),
  linked: why("excluded", "linked already, not by this stack"),
  "linked-to-nobody": why(
    "excluded",
    "linked already, but to a Clerk user who does not exist",
    "Clear clerk_user_id of the row to migrate the user, or correct it.",
  ),
  "no-digest": why("excluded", "has no password hash"),
  deleted: why("excluded", "is deleted in the application"),
  banned: why("excluded", "is banned in the application"),
  "held-only": why("excluded", "this run takes on nobody new"),
  skipped: why("excluded", "skipped by a decision"),
  "stays-behind": why("excluded", "stays with the old login, by a decision"),
  forgotten: why("excluded", "was deleted in Clerk and is let go of, by a decision"),
  "not-asked": why("excluded", "another address than the one asked for"),
  "not-selected": why("excluded", "not selected by emails, domains or where"),
  "left-out": why("excluded", "left out by exclude"),
  "beyond-limit": why("excluded", "beyond limit or percent"),
} as const satisfies Record<string, Reason>;

export type ReasonCode = keyof typeof reasons;

export interface Judgement {
  readonly code: ReasonCode;
  readonly verdict: Verdict;
  /** In full, with what is special about this row; empty where the verdict says it all. */
  readonly reason: string;
  readonly remedy: string;
}

/** `detail` says what is special about this row: other user_ids, a Clerk id, a field. Never an address or a name. */
export function judge(code: ReasonCode, detail = ""): Judgement {
  const { verdict, title, remedy } = reasons[code];
  return { code, verdict, reason: detail === "" ? title : `${title} (${detail})`, remedy };
}

/** A judgement, and whom to take over where it says adopt. */
export type Judged = Judgement & { readonly adopt?: string };
