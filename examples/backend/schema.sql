-- The example's own tables, beside the application's. Idempotent: run at every start.

-- Legacy sessions. Of a token only its SHA-256 is kept.
create table if not exists app_sessions (
  token_hash bytea primary key,
  user_id uuid not null references users on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index if not exists app_sessions_user_id on app_sessions (user_id);

-- Open links of the legacy password reset. Of a token only its SHA-256 is kept.
create table if not exists password_resets (
  token_hash bytea primary key,
  user_id uuid not null references users on delete cascade,
  expires_at timestamptz not null
);

-- Who has signed in with Clerk.
create table if not exists clerk_arrivals (
  user_id uuid primary key references users on delete cascade,
  -- The row's link at that time; null where there was none, and Clerk's external_id told who it was.
  clerk_user_id text,
  arrived_at timestamptz not null default now()
);

-- An arrival counts as long as its link does: a rollback takes the link away and so opens the legacy door again.
create or replace view arrived_users as
  select u.user_id
  from clerk_arrivals a
  join users u on u.user_id = a.user_id
  where a.clerk_user_id is null or a.clerk_user_id = u.clerk_user_id;

-- How far the poll has read: Clerk's last_sign_in_at, in milliseconds.
create table if not exists arrival_poll (
  only_row boolean primary key default true check (only_row),
  seen_until bigint not null
);

-- Legacy passwords that a login has set in Clerk. Never the password itself.
create table if not exists trickled_passwords (
  user_id uuid primary key references users on delete cascade,
  -- A user who is migrated anew, after a rollback, gets it anew.
  clerk_user_id text not null,
  -- Written before the request leaves.
  started_at timestamptz not null default now(),
  -- Written once Clerk has confirmed; null after a crash or a failure.
  at timestamptz
);
