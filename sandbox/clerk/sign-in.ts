import { z } from "zod";

/** An address (or username) and its password, or the ticket of a link in a mail. */
export type Credentials =
  | { readonly identifier: string; readonly password?: string }
  | { readonly strategy: "ticket"; readonly ticket: string };

export type SignInOutcome =
  | {
      readonly status: "complete";
      readonly userId: string;
      readonly sessionId: string;
      readonly token: string;
    }
  /** Not yet: a code, a device to be trusted. */
  | { readonly status: "needs_first_factor" | "needs_client_trust" }
  | { readonly status: "refused"; readonly code: string };

const answered = z.object({
  response: z.object({ status: z.enum(["complete", "needs_first_factor", "needs_client_trust"]) }),
  client: z.object({
    sessions: z.array(
      z.object({ id: z.string(), user_id: z.string(), last_active_token: z.object({ jwt: z.string() }) }),
    ),
  }),
});

const refused = z.object({ errors: z.array(z.object({ code: z.string() })) });

/** Signs in as a browser would that shows a page of `origin`, at the Frontend API of the local Clerk. */
export async function signIn(
  issuer: string,
  credentials: Credentials,
  origin?: string,
): Promise<SignInOutcome> {
  const response = await fetch(`${issuer}/v1/client/sign_ins`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(origin === undefined ? {} : { origin }) },
    body: JSON.stringify(credentials),
  });
  const body: unknown = await response.json();
  if (!response.ok) return { status: "refused", code: refused.parse(body).errors[0]?.code ?? "unknown" };
  const { response: attempt, client } = answered.parse(body);
  const session = client.sessions[0];
  if (attempt.status !== "complete" || !session) {
    return { status: attempt.status === "complete" ? "needs_first_factor" : attempt.status };
  }
  return {
    status: "complete",
    userId: session.user_id,
    sessionId: session.id,
    token: session.last_active_token.jwt,
  };
}

/** The ticket in the link of an invitation or of a sign-in token. */
export function ticketIn(url: string): string {
  const { searchParams } = new URL(url);
  const ticket = searchParams.get("ticket") ?? searchParams.get("__clerk_ticket");
  if (ticket === null) throw new Error("This link carries no ticket.");
  return ticket;
}
