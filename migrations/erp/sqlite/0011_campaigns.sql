-- The same told to many: campaigns, their audience in chunks, and when users do not want to be disturbed.

-- What is told, to whom, and how far it is. Its deliveries are those of the notification key 'campaign:{id}'.
create table notification_campaigns (
    id             integer primary key autoincrement,
    tenant_id      integer not null references fairlane_tenants (id),
    kind           text not null check (kind in ('announcement', 'reminder', 'alert')),
    severity       text not null check (severity in ('info', 'warning', 'critical')),
    title          text not null check (title <> ''),
    message        text not null check (message <> ''),
    action_label   text,
    action_target  text,
    due_at         integer,
    -- Those who may do this, there; else those who are named; else everybody.
    permission     text references permissions (code),
    location_id    integer,
    named_users    text,
    channels       text not null,
    -- Whether the channels reach users who have made no choice about them.
    reaches_all    integer not null default 0 check (reaches_all in (0, 1)),
    status         text not null default 'draft' check (status in ('draft', 'scheduled', 'freezing', 'sending', 'paused',
        'cancelled', 'done')),
    dedupe_key     text,
    scheduled_at   integer,
    -- Who came later than this user is not told.
    last_user_id   integer,
    audience       integer not null default 0,
    created_by     integer,
    started_at     integer,
    frozen_at      integer,
    finished_at    integer,
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    check ((action_label is null) = (action_target is null)),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, created_by) references users (tenant_id, id)
);
create index notification_campaigns_by_status on notification_campaigns (tenant_id, status, id);
create index notification_campaigns_by_location on notification_campaigns (tenant_id, location_id)
    where location_id is not null;

-- Until when no other campaign may have the same key.
create table campaign_keys (
    tenant_id    integer not null,
    dedupe_key   text not null,
    campaign_id  integer not null,
    held_until   integer not null,
    primary key (tenant_id, dedupe_key),
    foreign key (tenant_id, campaign_id) references notification_campaigns (tenant_id, id)
);
create index campaign_keys_by_campaign on campaign_keys (tenant_id, campaign_id);

-- The audience as it was when it was looked up, in the order of the users' numbers.
create table campaign_chunks (
    tenant_id     integer not null,
    campaign_id   integer not null,
    number        integer not null check (number > 0),
    users         text not null,
    last_user_id  integer not null,
    status        text not null default 'frozen' check (status in ('frozen', 'planned', 'done', 'failed')),
    job_id        text,
    created_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, campaign_id, number),
    foreign key (tenant_id, campaign_id) references notification_campaigns (tenant_id, id)
);

-- When a user is not to be disturbed: minutes of the user's day; from 22:00 until 7:00 is 1320 and 420.
create table notification_quiet_hours (
    tenant_id     integer not null,
    user_id       integer not null,
    from_minute   integer not null check (from_minute between 0 and 1439),
    until_minute  integer not null check (until_minute between 0 and 1439),
    updated_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, user_id),
    check (from_minute <> until_minute),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);

-- Which messages a user wants together, and how often; by type or ('*') for all that have no row of their own.
create table notification_digests (
    tenant_id   integer not null,
    user_id     integer not null,
    type        text not null,
    channel     text not null check (channel in ('mail')),
    every       text not null check (every in ('hourly', 'daily', 'weekly')),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, user_id, type, channel),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);

-- Deliveries that wait for the end of quiet hours, or for their digest: 12|mail|2026-11-29.
create table notification_deferrals (
    tenant_id    integer not null,
    delivery_id  integer not null,
    due_at       integer not null,
    digest_key   text,
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, delivery_id),
    foreign key (tenant_id, delivery_id) references notification_deliveries (tenant_id, id)
);
create index notification_deferrals_due on notification_deferrals (tenant_id, due_at, delivery_id);
create index notification_deferrals_by_digest on notification_deferrals (tenant_id, digest_key)
    where digest_key is not null;

-- How many messages of campaigns may go out by a channel, and when the next may; without a count the setting's.
create table channel_rates (
    tenant_id   integer not null references fairlane_tenants (id),
    channel     text not null,
    count       integer check (count > 0),
    period_ms   integer check (period_ms > 0),
    next_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, channel),
    check ((count is null) = (period_ms is null))
);
