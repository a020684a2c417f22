-- The sample application: what a chat product keeps about its users before the migration.

create table if not exists users (
  user_id uuid primary key default gen_random_uuid(),
  -- Compared as it is written: A@example.com and a@example.com would be two users.
  email text not null unique,
  name text,
  -- null for those who have never had a password here.
  password_hash text,
  -- null until the user is linked to Clerk.
  clerk_user_id text unique,
  created_at timestamptz not null default now()
);

create table if not exists chat_sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users,
  title text not null,
  created_at timestamptz not null default now()
);

create index if not exists chat_sessions_user_id on chat_sessions (user_id);

create table if not exists prompts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users,
  chat_session_id uuid not null references chat_sessions,
  body text not null,
  created_at timestamptz not null default now()
);

create index if not exists prompts_user_id on prompts (user_id);
create index if not exists prompts_chat_session_id on prompts (chat_session_id);
