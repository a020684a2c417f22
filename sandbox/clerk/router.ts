import { type Call, kindOf, type Route } from "./call";
import { methodNotAllowed, type Refusal, unknownEndpoint } from "./errors";

export interface Match {
  readonly route: Route;
  readonly kind: string;
  readonly param: Call["param"];
}

interface CompiledRoute {
  readonly route: Route;
  readonly pattern: RegExp;
}

export type Router = (method: string, path: string) => Match | Refusal;

/** The first route that fits wins: put `/users/count` before `/users/{user_id}`. */
export function createRouter(routes: readonly Route[]): Router {
  const compiled: CompiledRoute[] = routes.map((route) => ({ route, pattern: patternOf(route.path) }));
  return (method, path) => {
    const fitting = compiled.filter(({ pattern }) => pattern.test(path));
    const found = fitting.find(({ route }) => route.method === method);
    if (!found) return fitting.length > 0 ? methodNotAllowed() : unknownEndpoint();
    const values = found.pattern.exec(path)?.groups ?? {};
    return {
      route: found.route,
      kind: kindOf(found.route),
      param(name) {
        const value = values[name];
        if (value === undefined) throw new Error(`The route ${found.route.path} has no {${name}}.`);
        return value;
      },
    };
  };
}

function patternOf(path: string): RegExp {
  const escaped = path.replaceAll(".", String.raw`\.`);
  return new RegExp(`^${escaped.replace(/\{(\w+)\}/g, (_brace, name: string) => `(?<${name}>[^/]+)`)}$`);
}
