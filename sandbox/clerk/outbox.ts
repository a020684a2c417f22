import { newId } from "./ids";
import type { Instance } from "./instance";
import type { Mail } from "./records";

/** On a development instance Clerk sends nothing to these addresses. */
const TEST_ADDRESS = /\+clerk_test@/;

/** Puts a mail into the outbox, delivered or not: Clerk does not tell its caller either. */
export function sendMail(instance: Instance, to: string, kind: Mail["kind"], url: string | null): void {
  const undeliveredBecause = reasonNotToDeliver(instance, to);
  instance.store.outbox.push({
    id: newId("ema"),
    to,
    kind,
    url,
    at: instance.now(),
    delivered: undeliveredBecause === null,
    undeliveredBecause,
  });
}

function reasonNotToDeliver(instance: Instance, to: string): Mail["undeliveredBecause"] {
  if (instance.environmentType === "development" && TEST_ADDRESS.test(to)) return "test address";
  if (instance.limits.mailsPerMonth === Infinity) return null;
  const month = monthOf(instance.now());
  const sent = instance.store.outbox.filter((mail) => mail.delivered && monthOf(mail.at) === month).length;
  return sent < instance.limits.mailsPerMonth ? null : "monthly limit";
}

function monthOf(time: number): string {
  return new Date(time).toISOString().slice(0, 7);
}
