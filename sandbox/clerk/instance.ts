import type { Limits } from "./limits";
import type { SessionSigner } from "./session-tokens";
import type { InstanceSettings } from "./settings";
import type { Store } from "./store";

/** One Clerk instance: what every request is answered from. */
export interface Instance {
  readonly id: string;
  readonly environmentType: "development" | "production";
  readonly secretKey: string;
  readonly publishableKey: string;
  /** The Backend API's address, without /v1. */
  readonly url: string;
  /** The Frontend API's address, and the `iss` of session tokens. */
  readonly issuer: string;
  readonly settings: InstanceSettings;
  readonly limits: Limits;
  readonly store: Store;
  readonly signer: SessionSigner;
  now(): number;
}
