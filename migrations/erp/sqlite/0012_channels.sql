-- Ways to reach people besides the application and mail: text messages, push messages, webhooks.

insert into permissions (code, description) values
    ('integrations', 'Be told when what is connected to the tenant stops working');

-- A number in E.164: '+4915112345678'.
alter table users add column phone text;

-- Where push messages to a user go. token: what FCM calls the app on a device, or the address of a web push subscription,
-- whose keys p256dh and auth encrypt what is sent there.
create table user_devices (
    id          integer primary key autoincrement,
    tenant_id   integer not null references fairlane_tenants (id),
    user_id     integer not null,
    platform    text not null check (platform in ('fcm', 'webpush')),
    token       text not null,
    p256dh      text,
    auth        text,
    label       text,
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, token),
    check ((platform = 'webpush') = (p256dh is not null and auth is not null)),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index user_devices_by_user on user_devices (tenant_id, user_id, id);

-- Where webhooks go: the tenant's, or one user's own. types: what is sent there, '["*"]' for everything.
-- failing_since: the first of the failures since the last success.
create table webhook_endpoints (
    id               integer primary key autoincrement,
    tenant_id        integer not null references fairlane_tenants (id),
    user_id          integer,
    url              text not null,
    types            text not null default '["*"]',
    disabled_at      integer,
    disabled_reason  text,
    failing_since    integer,
    throttled_until  integer,
    last_success_at  integer,
    created_at       integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at       integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    check ((disabled_at is null) = (disabled_reason is null)),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create unique index webhook_endpoints_by_user on webhook_endpoints (tenant_id, user_id) where user_id is not null;

-- What signs them, sealed. More than one while a new one is introduced.
create table webhook_secrets (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    endpoint_id  integer not null,
    sealed       text not null,
    expires_at   integer,
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id) on delete cascade
);
create index webhook_secrets_by_endpoint on webhook_secrets (tenant_id, endpoint_id, id);

-- Which endpoint a delivery by webhook goes to.
create table webhook_deliveries (
    tenant_id    integer not null,
    delivery_id  integer not null,
    endpoint_id  integer not null,
    primary key (tenant_id, delivery_id),
    foreign key (tenant_id, delivery_id) references notification_deliveries (tenant_id, id) on delete cascade,
    foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id) on delete cascade
);
create index webhook_deliveries_by_endpoint on webhook_deliveries (tenant_id, endpoint_id, delivery_id);

-- Each request that carried a delivery, or tried to. target: 'sms', 'device:7', 'endpoint:3'.
create table delivery_attempts (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    delivery_id  integer not null,
    attempt      integer not null,
    target       text not null,
    outcome      text not null check (outcome in ('sent', 'retry', 'failed', 'suppressed', 'uncertain')),
    http_status  integer,
    code         text,
    error        text,
    took_ms      integer not null,
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    foreign key (tenant_id, delivery_id) references notification_deliveries (tenant_id, id) on delete cascade
);
create index delivery_attempts_by_delivery on delivery_attempts (tenant_id, delivery_id, id);

-- Providers report by their own number of a message.
create index notification_deliveries_by_message on notification_deliveries (tenant_id, message_id)
    where message_id is not null;
