import { accessNotAllowed } from "./errors";
import type { Instance } from "./instance";

/** A few of the domains that Clerk takes for throw-away ones. */
const DISPOSABLE_DOMAINS: ReadonlySet<string> = new Set([
  "mailinator.com",
  "guerrillamail.com",
  "yopmail.com",
]);

/** Allow list, block list, disposable domains and sub-addresses. Throws if one of them keeps this address out. */
export function checkAccess(instance: Instance, emailAddress: string): void {
  const { allowlist, blocklist, blockDisposableEmailDomains, blockEmailSubaddresses } = instance.settings;
  const listed = (list: readonly string[]) => list.some((entry) => covers(entry, emailAddress));
  const refused =
    (allowlist !== undefined && !listed(allowlist)) ||
    listed(blocklist) ||
    (blockDisposableEmailDomains && DISPOSABLE_DOMAINS.has(domainOf(emailAddress))) ||
    (blockEmailSubaddresses && isVariantTaken(instance, emailAddress));
  if (refused) throw accessNotAllowed(emailAddress);
}

/** Entries are addresses, or domains written `example.com`, `@example.com` or `*@example.com`. */
function covers(entry: string, emailAddress: string): boolean {
  const wanted = entry.toLowerCase();
  const domain = wanted.replace(/^\*?@/, "");
  return wanted === emailAddress || (!domain.includes("@") && domainOf(emailAddress) === domain);
}

/** With sub-addresses blocked only the first of `sam@…`, `sam+one@…`, `sam+two@…` may join. */
function isVariantTaken(instance: Instance, emailAddress: string): boolean {
  const base = baseOf(emailAddress);
  for (const user of instance.store.users.values()) {
    if (
      user.emailAddresses.some(
        (other) => other.emailAddress !== emailAddress && baseOf(other.emailAddress) === base,
      )
    )
      return true;
  }
  return false;
}

function baseOf(emailAddress: string): string {
  const domain = domainOf(emailAddress);
  const local = emailAddress.slice(0, -domain.length - 1).replace(/\+.*$/, "");
  return `${domain === "gmail.com" ? local.replaceAll(".", "") : local}@${domain}`;
}

function domainOf(emailAddress: string): string {
  return emailAddress.slice(emailAddress.lastIndexOf("@") + 1);
}
