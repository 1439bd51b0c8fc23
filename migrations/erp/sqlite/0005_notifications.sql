-- Who is told what, through which channel, and what became of it.

-- What was told: one row for each notification key, with whom it was meant for, so that it can be explained later.
create table notification_messages (
    tenant_id         integer not null references fairlane_tenants (id),
    notification_key  text not null,
    type              text not null,
    data              text not null,
    -- Those who may do this, there, were told; and whoever was named.
    permission        text references permissions (code),
    location_id       integer,
    named_users       text not null default '[]',
    subject_type      text,
    subject_id        integer,
    created_at        integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, notification_key),
    foreign key (tenant_id, location_id) references locations (tenant_id, id)
);
create index notification_messages_by_location on notification_messages (tenant_id, location_id)
    where location_id is not null;

-- Which channels a user wants, by type of notification or ('*') for all that have no row of their own.
create table notification_preferences (
    tenant_id   integer not null,
    user_id     integer not null,
    type        text not null,
    channel     text not null check (channel in ('in_app', 'mail', 'sms', 'push', 'webhook')),
    enabled     integer not null check (enabled in (0, 1)),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, user_id, type, channel),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);

-- Addresses that a mail server has refused for good: nothing is sent there until somebody lifts it. In lower case.
create table mail_suppressions (
    tenant_id    integer not null references fairlane_tenants (id),
    address      text not null,
    reason       text not null,
    delivery_id  integer,
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, address)
);

-- A tenant's own words for a mail; without a row it is the product's.
create table mail_templates (
    tenant_id   integer not null references fairlane_tenants (id),
    name        text not null,
    subject     text not null,
    text        text not null,
    mjml        text not null,
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, name)
);

-- One row for each message, recipient and channel. Deliveries of before were mails to customers: inv:12:mail.
-- A CHECK of SQLite is changed by making the table anew.
create table notification_deliveries_new (
    id                 integer primary key autoincrement,
    tenant_id          integer not null references fairlane_tenants (id),
    dedupe_key         text not null,
    channel            text not null check (channel in ('in_app', 'mail', 'sms', 'push', 'webhook')),
    type               text not null,
    subject_type       text,
    subject_id         integer,
    recipient          text,
    -- sending: the message is about to be handed over. Whoever finds it so after its sender is gone cannot know: uncertain.
    status             text not null default 'pending' check (status in ('pending', 'deferred', 'sending', 'sent',
        'delivered', 'failed', 'suppressed', 'skipped', 'uncertain')),
    attempts           integer not null default 0,
    message_id         text,
    reply              text,
    code               text,
    error              text,
    claimed_by         text,
    claimed_until      integer,
    sent_at            integer,
    created_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    notification_key   text not null default '',
    user_id            integer,
    unsubscribe_token  text,
    unique (tenant_id, id),
    unique (tenant_id, dedupe_key),
    check ((status in ('sent', 'delivered')) = (sent_at is not null)),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
insert into notification_deliveries_new (id, tenant_id, dedupe_key, channel, type, subject_type, subject_id, recipient,
    status, attempts, message_id, reply, code, error, claimed_by, claimed_until, sent_at, created_at, updated_at,
    notification_key)
select id, tenant_id, dedupe_key, channel, type, subject_type, subject_id, recipient, status, attempts, message_id, reply,
    code, error, claimed_by, claimed_until, sent_at, created_at, updated_at,
    case when dedupe_key like '%:mail' then substr(dedupe_key, 1, length(dedupe_key) - 5) else dedupe_key end
from notification_deliveries;
drop table notification_deliveries;
alter table notification_deliveries_new rename to notification_deliveries;
create index notification_deliveries_by_subject on notification_deliveries (tenant_id, subject_type, subject_id);
create unique index notification_deliveries_once on notification_deliveries (tenant_id, notification_key, user_id, channel)
    where user_id is not null;
create index notification_deliveries_by_notification on notification_deliveries (tenant_id, notification_key);
create index notification_deliveries_by_user on notification_deliveries (tenant_id, user_id, id) where user_id is not null;
create index notification_deliveries_by_status on notification_deliveries (tenant_id, status, id);
create unique index notification_deliveries_by_token on notification_deliveries (tenant_id, unsubscribe_token)
    where unsubscribe_token is not null;
