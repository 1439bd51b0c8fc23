-- Who is told what, through which channel, and what became of it.

-- What was told: one row for each notification key, with whom it was meant for, so that it can be explained later.
create table notification_messages (
    tenant_id         bigint not null references fairlane_tenants (id),
    notification_key  text not null,
    type              text not null,
    data              jsonb not null,
    -- Those who may do this, there, were told; and whoever was named.
    permission        text references permissions (code),
    location_id       bigint,
    named_users       jsonb not null default '[]',
    subject_type      text,
    subject_id        bigint,
    created_at        timestamptz not null default statement_timestamp(),
    primary key (tenant_id, notification_key),
    foreign key (tenant_id, location_id) references locations (tenant_id, id)
);
create index notification_messages_by_location on notification_messages (tenant_id, location_id)
    where location_id is not null;

-- Which channels a user wants, by type of notification or ('*') for all that have no row of their own.
create table notification_preferences (
    tenant_id   bigint not null,
    user_id     bigint not null,
    type        text not null,
    channel     text not null check (channel in ('in_app', 'mail', 'sms', 'push', 'webhook')),
    enabled     boolean not null,
    updated_at  timestamptz not null default statement_timestamp(),
    primary key (tenant_id, user_id, type, channel),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);

-- Addresses that a mail server has refused for good: nothing is sent there until somebody lifts it. In lower case.
create table mail_suppressions (
    tenant_id    bigint not null references fairlane_tenants (id),
    address      text not null,
    reason       text not null,
    delivery_id  bigint,
    created_at   timestamptz not null default statement_timestamp(),
    primary key (tenant_id, address)
);

-- A tenant's own words for a mail; without a row it is the product's.
create table mail_templates (
    tenant_id   bigint not null references fairlane_tenants (id),
    name        text not null,
    subject     text not null,
    text        text not null,
    mjml        text not null,
    created_at  timestamptz not null default statement_timestamp(),
    updated_at  timestamptz not null default statement_timestamp(),
    primary key (tenant_id, name)
);

-- One row for each message, recipient and channel. Deliveries of before were mails to customers: inv:12:mail.
alter table notification_deliveries
    add column notification_key   text not null default '',
    add column user_id            bigint,
    add column unsubscribe_token  text,
    alter column subject_type drop not null,
    alter column subject_id drop not null,
    alter column message_id drop not null,
    drop constraint notification_deliveries_channel_check,
    drop constraint notification_deliveries_status_check,
    drop constraint notification_deliveries_check;
-- Under FORCE the owner sees no rows either: without this the update would find none.
alter table notification_deliveries no force row level security;
update notification_deliveries set notification_key = regexp_replace(dedupe_key, ':mail$', '');
alter table notification_deliveries force row level security;
alter table notification_deliveries
    add constraint notification_deliveries_channel_check
        check (channel in ('in_app', 'mail', 'sms', 'push', 'webhook')),
    -- sending: the message is about to be handed over. Whoever finds it so after its sender is gone cannot know: uncertain.
    add constraint notification_deliveries_status_check check (status in ('pending', 'deferred', 'sending', 'sent',
        'delivered', 'failed', 'suppressed', 'skipped', 'uncertain')),
    add constraint notification_deliveries_sent_check
        check ((status in ('sent', 'delivered')) = (sent_at is not null)),
    add constraint notification_deliveries_user_fkey
        foreign key (tenant_id, user_id) references users (tenant_id, id);
create unique index notification_deliveries_once on notification_deliveries (tenant_id, notification_key, user_id, channel)
    where user_id is not null;
create index notification_deliveries_by_notification on notification_deliveries (tenant_id, notification_key);
create index notification_deliveries_by_user on notification_deliveries (tenant_id, user_id, id) where user_id is not null;
create index notification_deliveries_by_status on notification_deliveries (tenant_id, status, id);
create unique index notification_deliveries_by_token on notification_deliveries (tenant_id, unsubscribe_token)
    where unsubscribe_token is not null;

grant select, insert on notification_messages to fairlane_app;
grant select, insert, update, delete on notification_preferences, mail_suppressions, mail_templates to fairlane_app;

do $$
declare t text;
begin
    foreach t in array array['notification_messages', 'notification_preferences', 'mail_suppressions', 'mail_templates']
    loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy tenant on %I to fairlane_app using ('
            'tenant_id = nullif(current_setting(''fairlane.tenant_id'', true), '''')::bigint)', t);
    end loop;
end $$;
