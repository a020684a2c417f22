-- A migration is one link column that leads to one Clerk instance. Its id is random and stays: ledger, root state and
-- marks agree on it, whatever project and stack are called.
create table clerk_migration.migrations (
  migration_id text primary key,
  -- `schema.table.column` of the link; empty where an earlier version has not written it down.
  link text not null,
  clerk_instance_id text not null,
  -- `<project>/<stack>` of every stack that has ever held somebody: earlier versions marked Clerk users with it.
  stacks text[] not null default '{}',
  created_at timestamptz not null default now(),
  unique (link, clerk_instance_id)
);

insert into clerk_migration.migrations (migration_id, link, clerk_instance_id, stacks)
select 'm_' || replace(gen_random_uuid()::text, '-', ''), '', clerk_instance_id, array_agg(distinct stack)
from (
  select clerk_instance_id, stack from clerk_migration.users
  union select clerk_instance_id, stack from clerk_migration.notifications
  union select clerk_instance_id, stack from clerk_migration.retired_passwords
  union select clerk_instance_id, stack from clerk_migration.runs
) as known
group by clerk_instance_id;

do $$
declare
  subject text;
begin
  foreach subject in array array['users', 'notifications', 'retired_passwords'] loop
    execute format('alter table clerk_migration.%I add column migration_id text references clerk_migration.migrations', subject);
    execute format(
      'update clerk_migration.%I as held set migration_id = known.migration_id from clerk_migration.migrations as known
       where known.clerk_instance_id = held.clerk_instance_id', subject);
    execute format('alter table clerk_migration.%I alter column migration_id set not null', subject);
    execute format('alter table clerk_migration.%I drop constraint %I', subject, subject || '_pkey');
  end loop;
end
$$;

alter table clerk_migration.users add primary key (migration_id, user_id);
alter table clerk_migration.notifications add primary key (migration_id, user_id, number);
alter table clerk_migration.retired_passwords add primary key (migration_id, user_id);

drop index clerk_migration.users_stack, clerk_migration.notifications_stack, clerk_migration.retired_passwords_stack;
create index users_clerk_user_id on clerk_migration.users (clerk_user_id);

-- Null where an application has written its own subjects, or an earlier version the event.
alter table clerk_migration.events add column migration_id text;

create or replace function clerk_migration.record_event() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  insert into clerk_migration.events (migration_id, stack, subject, user_id, status, failure_code)
  values (new.migration_id, new.stack, tg_table_name, new.user_id, new.status, new.failure_code);
  return null;
end
$$;

-- What the program of an `up` commits before it registers anything: `delete` is told nothing about the command, and
-- finds this row by the address of its engine.
alter table clerk_migration.runs
  add column migration_id text,
  add column host text,
  -- Of the engine that runs the program: the same for program and providers of one command, another for each command.
  add column engine text,
  -- The `user_id`s that this run may remove, as its dry run says.
  add column removable text[] not null default '{}';
create index runs_engine on clerk_migration.runs (engine, host);
