import type { IncomingMessage, ServerResponse } from "node:http";

import { z } from "zod";

import { type Answer, html, json } from "./call";
import { faultOrder, type Faults } from "./faults";
import { readText, send } from "./http";
import type { Instance } from "./instance";
import { sandboxJson, sandboxPage } from "./page";

/** What this server has and Clerk has not: a page to look at, and faults to order. No key needed. */
export function isSandboxRequest(path: string): boolean {
  return path === "/" || path === "/sandbox.json" || path === "/sandbox/faults";
}

export async function respondAsSandbox(
  instance: Instance,
  faults: Faults,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const text = (await readText(request)) ?? "";
  const { pathname } = new URL(request.url ?? "/", instance.url);
  send(response, answer(instance, faults, `${request.method ?? "GET"} ${pathname}`, text));
}

function answer(instance: Instance, faults: Faults, request: string, text: string): Answer {
  switch (request) {
    case "GET /":
      return html(sandboxPage(instance));
    case "GET /sandbox.json":
      return json({ ...sandboxJson(instance), faults: faults.list() });
    case "GET /sandbox/faults":
      return json(faults.list());
    case "POST /sandbox/faults":
      return orderFaults(faults, text);
    case "DELETE /sandbox/faults":
      faults.clear();
      return json([]);
    default:
      return json({ error: "There is nothing of that kind here." }, 404);
  }
}

function orderFaults(faults: Faults, text: string): Answer {
  const order = faultOrder.safeParse(jsonFrom(text));
  if (!order.success) return json({ error: z.prettifyError(order.error) }, 400);
  if (Array.isArray(order.data)) faults.add(...order.data);
  else if ("faults" in order.data) {
    if (order.data.seed !== undefined) faults.seed(order.data.seed);
    faults.add(...order.data.faults);
  } else faults.add(order.data);
  return json(faults.list());
}

function jsonFrom(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
