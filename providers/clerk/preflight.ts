import { MigrationError } from "../errors";
import type { Clerk, Instance } from "./client";

/** The instance of the key, after making sure that the key works and that the issuer is the same instance's. */
export async function checkInstance(clerk: Clerk, issuerUrl: string): Promise<Instance> {
  const instance = await clerk.instance();
  const frontends = await clerk.frontendApiUrls();
  const issuer = new URL(issuerUrl).origin;
  if (!frontends.some((url) => URL.canParse(url) && new URL(url).origin === issuer)) {
    throw new MigrationError(
      "other-issuer",
      `CLERK_ISSUER_URL (${issuer}) does not belong to the instance of CLERK_SECRET_KEY (${instance.id}: ${frontends.join(", ")}).`,
      "Take both from the same instance in Clerk's dashboard, API keys.",
    );
  }
  return instance;
}
