-- Append-only: every mail that has left, or may have. Of a user's mails `notifications` knows the last; limits count these.
create table clerk_migration.mails (
  mail_id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  migration_id text not null references clerk_migration.migrations,
  stack text not null,
  clerk_instance_id text not null,
  user_id text not null,
  number integer not null,
  way text not null check (way in ('invitation', 'sign-in-link', 'announcement')),
  -- sending: nobody has written down what became of it. failed: it did not go out.
  outcome text not null check (outcome in ('sending', 'sent', 'rehearsed', 'unknown', 'failed'))
);
create index mails_at on clerk_migration.mails (clerk_instance_id, at);
create index mails_user on clerk_migration.mails (migration_id, user_id, number, mail_id);

insert into clerk_migration.mails (at, migration_id, stack, clerk_instance_id, user_id, number, way, outcome)
select coalesce(sent_at, updated_at), migration_id, stack, clerk_instance_id, user_id, number, way,
  case when status in ('sending', 'unknown', 'rehearsed') then status else 'sent' end
from clerk_migration.notifications
where sent_at is not null or status in ('sending', 'unknown')
order by 1;
