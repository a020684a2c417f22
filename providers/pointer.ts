/**
 * What Pulumi stores as the code of a resource: one line that loads today's provider from the checkout. It is
 * stored with every user and is what `destroy` and `refresh` run later, so these paths never change. `clerk-invitation` was
 * one as well.
 */
export function providerPointer(
  folder: "migration" | "clerk-user" | "notification" | "retired-password",
): string {
  return `require("tsx/cjs");exports.handler=()=>require("./providers/${folder}/provider.ts").provider`;
}
