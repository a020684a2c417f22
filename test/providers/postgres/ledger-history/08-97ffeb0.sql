-- What Postgres remembers of the migration. Idempotent: run by every stack's `migration` resource.
-- No digest, key, token, link, e-mail address or name is ever stored here.
create schema if not exists clerk_migration;

create table if not exists clerk_migration.users (
  user_id text primary key,
  stack text not null,
  clerk_instance_id text not null,
  clerk_user_id text,
  origin text check (origin in ('created', 'adopted')),
  -- creating: the request may have left. linked: done. unlinking: a rollback has begun.
  -- rolled_back, refused: nothing of ours exists in Clerk.
  status text not null check (status in ('creating', 'linked', 'unlinking', 'rolled_back', 'refused')),
  -- The passwords setting at creation: a later change of the setting changes nobody who is held.
  passwords text check (passwords in ('carry', 'reset')),
  digest_fingerprint text,
  -- Of address, names and created_at as last applied, so that a changed row shows without asking Clerk.
  profile_fingerprint text,
  -- Clerk's password_last_updated_at as of our last write: a later one means that the user has set a new password.
  clerk_password_at bigint,
  -- Raised whenever something recorded as done has to be done again: an input of the resource.
  attempt integer not null default 1,
  -- The last failure, as people see it.
  failure_code text,
  failure_reason text,
  failure_remedy text,
  linked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- Of an adopted user: the external id was empty in Clerk, and is ours to take away again.
alter table clerk_migration.users add column if not exists external_id_set boolean not null default false;
create index if not exists users_stack on clerk_migration.users (stack, user_id);

create table if not exists clerk_migration.notifications (
  user_id text not null,
  -- 0 is the mail that tells a user; from 1 on they are reminders.
  number integer not null default 0,
  -- Fixed when the user is first told, or tried to be.
  way text not null check (way in ('invitation', 'sign-in-link', 'announcement')),
  stack text not null,
  clerk_instance_id text not null,
  -- Clerk's id of the invitation or of the sign-in token, for taking it back. Never the token.
  credential_id text,
  -- Which address it went to, without storing the address.
  email_fingerprint text,
  -- sending, revoking: the request may have left. unknown: it left and nobody knows the outcome. failed: nothing was sent.
  -- rehearsed: it went to the address for rehearsals.
  status text not null
    check (status in ('sending', 'sent', 'rehearsed', 'unknown', 'failed', 'revoking', 'revoked')),
  attempt integer not null default 1,
  failure_code text,
  failure_reason text,
  failure_remedy text,
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (user_id, number)
);
create index if not exists notifications_stack on clerk_migration.notifications (stack, user_id);

create table if not exists clerk_migration.runs (
  run_id bigint generated always as identity primary key,
  stack text not null,
  clerk_instance_id text not null,
  operator text,
  commit_id text,
  planned jsonb not null,
  actual jsonb,
  started_at timestamptz not null default now(),
  finished_at timestamptz
);
-- Requests to Clerk, as far as the providers have written them down: all, repeated, and answered 429.
alter table clerk_migration.runs add column if not exists requests integer not null default 0;
alter table clerk_migration.runs add column if not exists repeated integer not null default 0;
alter table clerk_migration.runs add column if not exists limited integer not null default 0;

-- Append-only: what happened to which user, written by the triggers below, so that no step can forget it. An
-- application may add its own subjects, as examples/backend does with `trickle`.
create table if not exists clerk_migration.events (
  event_id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  stack text not null,
  subject text not null,
  user_id text not null,
  status text not null,
  failure_code text
);
create index if not exists events_user on clerk_migration.events (user_id, event_id);

create or replace function clerk_migration.record_event() returns trigger language plpgsql as $$
begin
  insert into clerk_migration.events (stack, subject, user_id, status, failure_code)
  values (new.stack, tg_table_name, new.user_id, new.status, new.failure_code);
  return null;
end
$$;

drop trigger if exists record_insert on clerk_migration.users;
create trigger record_insert after insert on clerk_migration.users
  for each row execute function clerk_migration.record_event();
drop trigger if exists record_change on clerk_migration.users;
create trigger record_change after update on clerk_migration.users
  for each row when (old.status is distinct from new.status or old.failure_code is distinct from new.failure_code)
  execute function clerk_migration.record_event();
drop trigger if exists record_insert on clerk_migration.notifications;
create trigger record_insert after insert on clerk_migration.notifications
  for each row execute function clerk_migration.record_event();
drop trigger if exists record_change on clerk_migration.notifications;
create trigger record_change after update on clerk_migration.notifications
  for each row when (old.status is distinct from new.status or old.failure_code is distinct from new.failure_code)
  execute function clerk_migration.record_event();

-- Tells whether this file has to run again.
comment on table clerk_migration.events is 'The memory of clerk-migration, version 3';
