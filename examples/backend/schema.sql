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

-- Who has not signed in with Clerk yet, and must not come through the legacy door all the same.
create table if not exists barred_users (
  user_id uuid primary key references users on delete cascade,
  -- A rollback takes the link away and so ends it.
  clerk_user_id text not null,
  -- banned, deleted: in Clerk. password: reset or changed there, so that the legacy one is over.
  reason text not null check (reason in ('banned', 'deleted', 'password')),
  barred_at timestamptz not null default now()
);

-- For whom Clerk alone decides: unless LEGACY_LOGIN is on, the legacy door is shut for them.
create or replace view shut_users as
  select user_id from arrived_users
  union
  select u.user_id from barred_users b join users u on u.user_id = b.user_id and u.clerk_user_id = b.clerk_user_id;

-- How far the poll has read: Clerk's last_sign_in_at, in milliseconds.
create table if not exists arrival_poll (
  only_row boolean primary key default true check (only_row),
  seen_until bigint not null
);

-- Whose legacy password this backend has set in Clerk, at a login or with a new one. Never the password itself.
create table if not exists trickled_passwords (
  user_id uuid primary key references users on delete cascade,
  -- A user who is migrated anew, after a rollback, gets it anew.
  clerk_user_id text not null,
  -- Written before the request leaves.
  started_at timestamptz not null default now(),
  -- Written once Clerk has confirmed; null after a crash or a failure.
  at timestamptz
);
