import type { FastifyInstance } from "fastify";

import type { Authenticate } from "./authenticate";
import type { Systems } from "./systems";

/** The application itself: the same data for the same user, whichever door was used. */
export function chats(app: FastifyInstance, { database }: Systems, authenticate: Authenticate): void {
  app.get("/me", async (request) => {
    const { user, door } = await authenticate(request);
    return { userId: user.userId, email: user.email, name: user.name, door };
  });

  app.get("/chat-sessions", async (request) => {
    const { user } = await authenticate(request);
    const { rows } = await database.query<object>(
      `select s.id, s.title, s.created_at as "createdAt", coalesce(
         json_agg(json_build_object('id', p.id, 'body', p.body, 'createdAt', p.created_at) order by p.created_at)
           filter (where p.id is not null),
         '[]'
       ) as prompts
       from chat_sessions s
       left join prompts p on p.chat_session_id = s.id
       where s.user_id = $1
       group by s.id
       order by s.created_at`,
      [user.userId],
    );
    return rows;
  });
}
