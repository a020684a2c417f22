import { json, type Route } from "../call";
import { booleanOf, pageOf, pick } from "../query";
import { sessionJson } from "../sessions";

export const instanceRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/instance",
    handle: ({ id, environmentType, settings: { allowedOrigins } }) =>
      json({
        object: "instance",
        id,
        environment_type: environmentType,
        allowed_origins: allowedOrigins.length === 0 ? null : allowedOrigins,
        workspace_id: id.replace(/^ins_/, "org_"),
      }),
  },
  {
    method: "GET",
    path: "/domains",
    handle: ({ id, issuer }) =>
      json({
        data: [
          {
            object: "domain",
            id: id.replace(/^ins_/, "dmn_"),
            name: new URL(issuer).host,
            is_satellite: false,
            frontend_api_url: issuer,
            accounts_portal_url: issuer,
            proxy_url: null,
            development_origin: "",
            cname_targets: [],
          },
        ],
        total_count: 1,
      }),
  },
  {
    method: "GET",
    path: "/allowlist_identifiers",
    handle: ({ settings }) => json((settings.allowlist ?? []).map(identifierJson("allowlist"))),
  },
  {
    method: "GET",
    path: "/blocklist_identifiers",
    handle: ({ settings }) =>
      json({
        data: settings.blocklist.map(identifierJson("blocklist")),
        total_count: settings.blocklist.length,
      }),
  },
  { method: "GET", path: "/jwks", handle: ({ signer }) => json(signer.jwks()) },
  {
    method: "GET",
    path: "/sessions",
    handle({ store }, { query }) {
      const [userId, clientId, status] = [query.get("user_id"), query.get("client_id"), query.get("status")];
      const matches = [...store.sessions.values()]
        .filter((session) => userId === null || session.userId === userId)
        .filter((session) => clientId === null || session.clientId === clientId)
        .filter((session) => status === null || session.status === status)
        .sort((a, b) => b.createdAt - a.createdAt);
      const data = pick(matches, pageOf(query)).map(sessionJson);
      return json(booleanOf(query, "paginated") ? { data, total_count: matches.length } : data);
    },
  },
];

const identifierJson = (list: "allowlist" | "blocklist") => (identifier: string, position: number) => ({
  object: `${list}_identifier`,
  id: `${list === "allowlist" ? "alid" : "blid"}_${position.toString()}`,
  identifier,
  identifier_type: "email_address",
  created_at: 0,
  updated_at: 0,
});
