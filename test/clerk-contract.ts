import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import OpenAPIRequestValidator from "openapi-request-validator";
import OpenAPIResponseValidator from "openapi-response-validator";
import { parse } from "yaml";
import { z } from "zod";

import type { Exchange } from "../sandbox/clerk/server";

/** Clerk's OpenAPI file: beside the project, unless the environment says otherwise. */
const FILE = process.env.CLERK_OPENAPI_FILE ?? resolve(__dirname, "../../shared/clerk/bapi-2026-05-12.yml");

/** In the SDK but not in the reference. */
const UNDOCUMENTED_OPERATIONS: readonly RegExp[] = [/^DELETE \/v1\/invitations\/[^/]+$/];

/** What `@clerk/backend` sends all the same: the cursor of a list goes to its count as well. */
const UNDOCUMENTED_QUERY: readonly string[] = ["GET /users/count starting_after"];

/** In the reference's prose but not in its schema. */
const UNDOCUMENTED_FIELD = "requires_password_reset";

export interface ClerkContract {
  /** What Clerk's reference has against this exchange; each sentence begins with `request:` or `answer:`. */
  check(exchange: Exchange): string[];
}

type RequestRules = ConstructorParameters<typeof OpenAPIRequestValidator>[0];
type ResponseRules = ConstructorParameters<typeof OpenAPIResponseValidator>[0];

interface Operation {
  readonly parameters?: RequestRules["parameters"];
  readonly requestBody?: RequestRules["requestBody"];
  readonly responses: ResponseRules["responses"];
}

const queryParameter = z.object({
  name: z.string(),
  in: z.string(),
  schema: z.looseObject({ type: z.string().optional() }).optional(),
});

type QueryParameter = z.infer<typeof queryParameter>;

/** One operation, ready to check. */
interface Checker {
  readonly kind: string;
  readonly queryParameters: readonly QueryParameter[];
  readonly request: OpenAPIRequestValidator;
  readonly response: OpenAPIResponseValidator;
  /** The statuses whose body the reference describes. */
  readonly describedStatuses: ReadonlySet<string>;
}

const reference = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.looseObject({ responses: z.looseObject({ ClerkErrors: z.unknown() }) }),
});

type Reference = z.infer<typeof reference>;

/** undefined, with a notice, where Clerk's OpenAPI file is not at hand. */
export async function clerkContract(): Promise<ClerkContract | undefined> {
  if (!existsSync(FILE)) {
    console.warn(
      "Clerk's OpenAPI file is not at hand: set CLERK_OPENAPI_FILE to check exchanges against it.",
    );
    return undefined;
  }
  return contractOf(reference.parse(parse(await readFile(FILE, "utf8"), { maxAliasCount: -1 })));
}

function contractOf(document: Reference): ClerkContract {
  const checkers = new Map<string, Checker>();
  const errors = operation({ responses: { default: document.components.responses.ClerkErrors } }, document);
  const errorBody = new OpenAPIResponseValidator({ responses: errors.responses });

  /** Building one takes a third of a second, so each operation has its own for good. */
  function checkerFor({ method, path }: Exchange): Checker | undefined {
    const template = templateOf(document, method, path);
    if (template === undefined) return undefined;
    const kind = `${method} ${template}`;
    const checker = checkers.get(kind) ?? checkerOf(document, method, template);
    checkers.set(kind, checker);
    return checker;
  }

  return {
    check(exchange) {
      const where = `${exchange.method} ${exchange.path}`;
      if (UNDOCUMENTED_OPERATIONS.some((known) => known.test(where))) return [];
      const checker = checkerFor(exchange);
      if (!checker) return [`request: ${where} is not in the reference`];
      return [
        ...requestProblems(checker, exchange).map((problem) => `request: ${where}: ${problem}`),
        ...answerProblems(checker, errorBody, exchange).map((problem) => `answer: ${where}: ${problem}`),
      ];
    },
  };
}

/** The path as the reference writes it; one without placeholders comes first (`/users/count`). */
function templateOf({ paths }: Reference, method: string, path: string): string | undefined {
  const templates = Object.keys(paths).filter((template) => {
    const pattern = new RegExp(`^/v1${template.replace(/\{\w+\}/g, "[^/]+")}$`);
    return pattern.test(path) && paths[template]?.[method.toLowerCase()] !== undefined;
  });
  return templates.find((template) => !template.includes("{")) ?? templates[0];
}

function checkerOf(document: Reference, method: string, template: string): Checker {
  const {
    parameters = [],
    requestBody,
    responses,
  } = operation(document.paths[template]?.[method.toLowerCase()], document);
  return {
    kind: `${method} ${template}`,
    queryParameters: z
      .array(queryParameter)
      .parse(parameters)
      .filter((parameter) => parameter.in === "query"),
    request: new OpenAPIRequestValidator({ parameters, ...(requestBody && { requestBody }) }),
    response: new OpenAPIResponseValidator({ responses }),
    describedStatuses: new Set(
      Object.entries(responses).flatMap(([status, body]) => ("content" in body ? status : [])),
    ),
  };
}

function operation(node: unknown, document: Reference): Operation {
  const inlined = withoutReferences(node, document, []);
  if (!isOperation(inlined))
    throw new Error("The OpenAPI file describes an operation in an unexpected form.");
  return inlined;
}

function isOperation(node: unknown): node is Operation {
  return typeof node === "object" && node !== null && "responses" in node;
}

/** Every `$ref` replaced by what it points to; where one points into itself, anything goes. */
function withoutReferences(node: unknown, document: Reference, path: readonly string[]): unknown {
  if (Array.isArray(node)) return node.map((item: unknown) => withoutReferences(item, document, path));
  if (typeof node !== "object" || node === null) return node;
  if ("$ref" in node && typeof node.$ref === "string") {
    if (path.includes(node.$ref)) return {};
    return withoutReferences(lookUp(document, node.$ref), document, [...path, node.$ref]);
  }
  const inlined = Object.entries(node).map(
    ([key, value]) => [key, withoutReferences(value, document, path)] as const,
  );
  return nullableChoice(Object.fromEntries(inlined));
}

/** The file says `nullable` beside `oneOf` and means it; to the validators null would match none of the choices. */
function nullableChoice(node: Readonly<Record<string, unknown>>): unknown {
  if (node.nullable !== true || !Array.isArray(node.oneOf)) return node;
  const choices: readonly unknown[] = node.oneOf;
  return { ...node, oneOf: [...choices, { type: "null" }] };
}

function lookUp(document: Reference, pointer: string): unknown {
  return pointer
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>(
      (node, key) => (typeof node === "object" && node !== null ? entry(node, key) : undefined),
      document,
    );
}

function entry(node: object, key: string): unknown {
  const found: unknown = Object.entries(node).find(([name]) => name === key)?.[1];
  return found;
}

const complaints = z.object({
  errors: z.array(z.looseObject({ path: z.string().optional(), message: z.string() })),
});

function requestProblems(checker: Checker, exchange: Exchange): string[] {
  const names = new Set(checker.queryParameters.map((parameter) => parameter.name));
  const unknown = [...new Set(exchange.query.keys())].filter(
    (name) => !names.has(name) && !UNDOCUMENTED_QUERY.includes(`${checker.kind} ${name}`),
  );
  const found: unknown = checker.request.validateRequest({
    headers: exchange.headers,
    params: paramsOf(checker.kind, exchange),
    query: typedQuery(checker.queryParameters, exchange.query),
    // The validator fills in defaults: it gets a copy.
    body: structuredClone(exchange.requestBody),
  });
  return [...unknown.map((name) => `unknown query parameter ${name}`), ...sentences(found)];
}

function answerProblems(checker: Checker, errorBody: OpenAPIResponseValidator, exchange: Exchange): string[] {
  const { status, fault } = exchange;
  // What a fault sends is not Clerk's.
  if (status === null || fault !== null) return [];
  const contentType = exchange.responseHeaders["content-type"] ?? "none";
  const problems = contentType === "application/json" ? [] : [`content type ${contentType}`];
  const body = undressed(structuredClone(exchange.responseBody), exchange.query);
  // 429 is documented nowhere, 401 not everywhere; errors have one form all over.
  const validator = checker.describedStatuses.has(status.toString()) ? checker.response : errorBody;
  if (validator === errorBody && status < 400) problems.push(`status ${status} is not in the reference`);
  return [...problems, ...sentences(validator.validateResponse(status.toString(), body))];
}

function sentences(found: unknown): string[] {
  if (found === undefined) return [];
  return complaints.parse(found).errors.map((error) => `${error.path ?? ""} ${error.message}`.trim());
}

function paramsOf(kind: string, { path }: Exchange): Record<string, string> {
  const template = kind.slice(kind.indexOf(" ") + 1);
  const pattern = template.replace(/\{(\w+)\}/g, (_brace, name: string) => `(?<${name}>[^/]+)`);
  return { ...new RegExp(`^/v1${pattern}$`).exec(path)?.groups };
}

/** Query strings know no types; the schema does. */
function typedQuery(parameters: readonly QueryParameter[], query: URLSearchParams): Record<string, unknown> {
  const present = parameters.filter((parameter) => query.has(parameter.name));
  return Object.fromEntries(
    present.map((parameter) => [parameter.name, typedValue(parameter, query)] as const),
  );
}

function typedValue({ name, schema }: QueryParameter, query: URLSearchParams): unknown {
  const text = query.get(name) ?? "";
  if (schema?.type === "array") return query.getAll(name);
  if (schema?.type === "integer" && /^-?\d+$/.test(text)) return Number(text);
  if (schema?.type === "boolean" && /^(true|false)$/.test(text)) return text === "true";
  return text;
}

/** The body without what the reference is known not to describe. */
function undressed(body: unknown, query: URLSearchParams): unknown {
  // `paginated=true`: the reference has the parameter, but only the bare list as its answer.
  const isPage =
    query.get("paginated") === "true" && typeof body === "object" && body !== null && "data" in body;
  const list: unknown = isPage ? body.data : body;
  const items: readonly unknown[] = Array.isArray(list) ? list : [list];
  for (const item of items) {
    if (typeof item === "object" && item !== null) Reflect.deleteProperty(item, UNDOCUMENTED_FIELD);
  }
  return list;
}

/** What Clerk's reference has against any of these; nothing where its file is not at hand. */
export async function contractProblems(exchanges: readonly Exchange[]): Promise<string[]> {
  const contract = await clerkContract();
  return exchanges.flatMap((exchange) => contract?.check(exchange) ?? []);
}
