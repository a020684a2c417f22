-- Ledgers were written before their steps were numbered, in ten forms. Brings what is there of any of them, rows and
-- grants kept, so far that step 1 completes it. Where nothing is there, nothing happens.
alter table if exists clerk_migration.users
  add column if not exists profile_fingerprint text,
  add column if not exists arrived_at timestamptz,
  add column if not exists external_id_set boolean not null default false;

alter table if exists clerk_migration.runs
  add column if not exists requests integer not null default 0,
  add column if not exists repeated integer not null default 0,
  add column if not exists limited integer not null default 0;

-- Step 1 makes it anew, and its triggers. What is moved below is therefore no event.
drop function if exists clerk_migration.record_event() cascade;

-- The invitation was once the only way to tell a user, and nobody was reminded.
do $$
begin
  if to_regclass('clerk_migration.invitations') is null then
    return;
  end if;
  alter table clerk_migration.invitations rename column invitation_id to credential_id;
  alter table clerk_migration.invitations
    add column number integer not null default 0,
    add column way text not null default 'invitation';

  if to_regclass('clerk_migration.notifications') is not null then
    insert into clerk_migration.notifications
      (user_id, number, way, stack, clerk_instance_id, credential_id, email_fingerprint, status, attempt,
       failure_code, failure_reason, failure_remedy, sent_at, created_at, updated_at)
    select user_id, number, way, stack, clerk_instance_id, credential_id, email_fingerprint, status, attempt,
       failure_code, failure_reason, failure_remedy, sent_at, created_at, updated_at
    from clerk_migration.invitations
    on conflict (user_id, number) do nothing;
    drop table clerk_migration.invitations;
  else
    alter table clerk_migration.invitations rename to notifications;
    alter table clerk_migration.notifications
      alter column way drop default,
      drop constraint invitations_pkey,
      drop constraint invitations_status_check,
      add constraint notifications_pkey primary key (user_id, number),
      add constraint notifications_way_check check (way in ('invitation', 'sign-in-link', 'announcement')),
      add constraint notifications_status_check
        check (status in ('sending', 'sent', 'rehearsed', 'unknown', 'failed', 'revoking', 'revoked'));
    alter index clerk_migration.invitations_stack rename to notifications_stack;
  end if;
  update clerk_migration.events set subject = 'notifications' where subject = 'invitations';
end
$$;

-- The comments once told which form it was.
do $$
begin
  if obj_description(to_regnamespace('clerk_migration'), 'pg_namespace') is not null then
    comment on schema clerk_migration is null;
  end if;
  if obj_description(to_regclass('clerk_migration.events'), 'pg_class') is not null then
    comment on table clerk_migration.events is null;
  end if;
end
$$;
