import type { InstanceEnvironment } from "../clerk/environment";
import type { ClerkFacts } from "../clerk/facts";
import type { ClerkUser } from "../clerk/user";
import type { Profile } from "../clerk-user/inputs";
import { type Finding, finding } from "../findings";
import type { PlannedUser } from "../planned";
import type { Passwords } from "../postgres/ledger";
import type { Settings } from "../settings";
import type { PlanSettings } from "../world";
import { judge, type Judgement } from "./reasons";
import { usernameFlaw, type UsernameRules, usualUsernames } from "./username";

/** What the instance would refuse of this user; undefined where nothing. Where its settings are not known, Clerk's usual ones count. */
export function instanceProblem(
  environment: InstanceEnvironment | null,
  profile: Profile,
  passwords: Passwords,
  settings: Pick<Settings, "legalConsent">,
): Judgement | undefined {
  if (environment === null) return usernameProblem(profile, usualUsernames);
  const { attributes } = environment;
  if (!attributes.email.isEnabled) return judge("email-off");
  if (passwords === "carry" && !attributes.password.isEnabled) return judge("password-off");
  if (passwords === "reset" && attributes.password.isEnabled && !hasOtherWay(environment, profile))
    return judge("password-only-way");

  const given = [
    ["first name", attributes.firstName, profile.firstName],
    ["last name", attributes.lastName, profile.lastName],
    ["user name", attributes.username, profile.username],
    ["phone number", attributes.phoneNumber, profile.phoneNumber],
  ] as const;
  const off = given.filter(([, attribute, value]) => !attribute.isEnabled && value !== "");
  if (off.length > 0) return judge("attribute-off", off.map(([name]) => name).join(", "));
  const username = usernameProblem(profile, environment.usernames);
  if (username !== undefined) return username;
  const missing = given.filter(([, attribute, value]) => attribute.isRequired && value === "");
  if (missing.length > 0) return judge("attribute-missing", missing.map(([name]) => name).join(", "));
  if (environment.asksLegalConsent && settings.legalConsent === "require") return judge("legal-consent");
  return undefined;
}

function usernameProblem({ username }: Profile, rules: UsernameRules): Judgement | undefined {
  const flaw = username === "" ? undefined : usernameFlaw(username, rules);
  return flaw === undefined ? undefined : judge("malformed-username", flaw);
}

/** Whether this user can sign in without a password. */
function hasOtherWay(
  { attributes, hasSocialSignIn }: InstanceEnvironment,
  { phoneNumber }: Pick<Profile, "phoneNumber">,
): boolean {
  const byPhone = attributes.phoneNumber.isFirstFactor && phoneNumber !== "";
  return attributes.email.isFirstFactor || byPhone || hasSocialSignIn;
}

/** The same of an update, which sends only what differs. */
export function updateProblem(
  environment: InstanceEnvironment | null,
  profile: Profile,
  live: Pick<ClerkUser, "firstName" | "lastName">,
  sendsDigest: boolean,
): Judgement | undefined {
  if (environment === null) return undefined;
  const { attributes } = environment;
  if (sendsDigest && !attributes.password.isEnabled) return judge("password-off");
  const sent = [
    ["first name", attributes.firstName, profile.firstName, live.firstName],
    ["last name", attributes.lastName, profile.lastName, live.lastName],
  ] as const;
  const off = sent.filter(
    ([, attribute, value, before]) => !attribute.isEnabled && value !== "" && value !== before,
  );
  return off.length === 0 ? undefined : judge("attribute-off", off.map(([name]) => name).join(", "));
}

/** What the instance as a whole means for this run, and what cannot be found out from here. */
export function instanceFindings(
  { environment, room, kind }: ClerkFacts,
  users: readonly PlannedUser[],
  settings: Pick<PlanSettings, "bypassDeviceTrust">,
): Finding[] {
  const created = users.filter((user) => user.verdict === "create");
  const carried = created.filter((user) => user.declared?.passwords === "carry").length;
  const restricted = created.filter((user) => user.notes.includes("restricted")).length;
  const findings: Finding[] = [];
  if (room !== null) {
    findings.push(
      finding(
        "instance/room",
        "note",
        `The ${kind} instance has room for ${room.toString()} more users; ${created.length.toString()} would be created.`,
      ),
    );
  }
  // A run that is resumed, or moves an address, sends as much as one that creates.
  if (!users.some(({ verdict }) => verdict === "create" || verdict === "resume" || verdict === "update"))
    return findings;
  if (environment === null) {
    findings.push(
      finding(
        "instance/settings",
        "unknown",
        "How the instance is set cannot be read at CLERK_ISSUER_URL, so Clerk may require or refuse what is not known here.",
        "Make /v1/environment of the issuer reachable, or migrate one user first.",
      ),
    );
    return findings;
  }
  const restrictions = [
    environment.hasAllowlist ? "an allow list" : "",
    environment.hasBlocklist ? "a block list" : "",
    environment.blocksSubaddresses
      ? "a block on sub-addresses (sam+one@…, also where Clerk has another of them)"
      : "",
    environment.blocksDisposable ? "a block on disposable domains" : "",
  ].filter((restriction) => restriction !== "");
  if (restrictions.length > 0) {
    findings.push(
      finding(
        "instance/restrictions",
        "unknown",
        `The instance has ${restrictions.join(", ")}. Clerk does not document whether that holds for users created through its API; ${restricted.toString()} of those to be created are known to be concerned, and could be refused.`,
        "Turn the restrictions off while the migration runs, or expect refusals, which harm nobody.",
      ),
    );
  }
  if (carried > 0 && !settings.bypassDeviceTrust) {
    findings.push(
      finding(
        "instance/device-trust",
        "unknown",
        `Whether Device Trust is on cannot be read: if it is, ${carried.toString()} users are asked for an e-mail code at their first sign-in, although the password is right.`,
        "Set bypassDeviceTrust to true to spare them that.",
      ),
    );
  }
  return findings;
}
