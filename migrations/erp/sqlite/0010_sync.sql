-- Data of other systems: whom a tenant exchanges with, what is the same on both sides, how far a run is, what was in dispute.

insert into permissions (code, description) values
    ('sync.alerts', 'Is told when the exchange with another system fails');

-- secret: sealed (XChaCha20-Poly1305 under the key of the configuration), never in the clear.
create table sync_connections (
    id          integer primary key autoincrement,
    tenant_id   integer not null references fairlane_tenants (id),
    name        text not null,
    dialect     text not null check (dialect in ('generic', 'shopify', 'woocommerce', 'odoo')),
    base_url    text not null,
    auth        text not null default 'none' check (auth in ('none', 'bearer', 'basic', 'hmac', 'oauth2')),
    secret      text,
    settings    text not null default '{}',
    active      integer not null default 1 check (active in (0, 1)),
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, name)
);

-- The same thing on both sides. base: what both had when they last agreed, in our words; content_hash: of that.
-- alias: another name the other system has for it. seen_run: the last full run that met it. Levels have no number of ours.
create table external_refs (
    tenant_id          integer not null,
    connection_id      integer not null,
    entity             text not null check (entity in ('products', 'customers', 'inventory', 'orders')),
    external_id        text not null,
    internal_id        integer,
    alias              text,
    content_hash       text not null,
    base               text not null default '{}',
    local_version      integer,
    remote_updated_at  integer,
    seen_run           integer,
    deleted_at         integer,
    updated_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, connection_id, entity, external_id),
    unique (tenant_id, connection_id, entity, internal_id),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade
);
create index external_refs_by_alias on external_refs (tenant_id, connection_id, entity, alias) where alias is not null;

-- since: changes up to here are known. run, position: where the run that is under way goes on; written with its page.
create table sync_cursors (
    tenant_id      integer not null,
    connection_id  integer not null,
    entity         text not null check (entity in ('products', 'customers', 'inventory', 'orders')),
    since          integer,
    etag           text,
    run            integer,
    position       text,
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, connection_id, entity),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade
);

-- What all workers share about a connection: its circuit breaker, its rate, when it wants to be left alone until.
create table sync_gates (
    tenant_id      integer not null,
    connection_id  integer not null,
    state          text not null default 'closed' check (state in ('closed', 'open', 'half_open')),
    failures       integer not null default 0,
    opened_at      integer,
    cooldown_ms    integer not null default 0,
    probe_at       integer,
    blocked_until  integer,
    next_at        integer,
    last_error     text,
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade
);

-- Access tokens, sealed. Whoever holds refresh_until fetches the next one; the others wait for it.
create table sync_tokens (
    tenant_id      integer not null,
    connection_id  integer not null,
    token          text,
    expires_at     integer,
    generation     integer not null default 0,
    refresh_until  integer,
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade
);

-- Both sides have changed a field since they agreed, and a person decides.
create table sync_conflicts (
    id             integer primary key autoincrement,
    tenant_id      integer not null,
    connection_id  integer not null,
    entity         text not null,
    external_id    text not null,
    field          text not null,
    local_value    text,
    remote_value   text,
    status         text not null default 'open' check (status in ('open', 'local', 'remote')),
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    resolved_at    integer,
    unique (tenant_id, id),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade
);
create unique index sync_conflicts_open on sync_conflicts (tenant_id, connection_id, entity, external_id, field)
    where status = 'open';

-- Records that could not be taken over; gone when a later run can.
create table sync_failures (
    tenant_id      integer not null,
    connection_id  integer not null,
    entity         text not null,
    external_id    text not null,
    run            integer not null,
    code           text not null,
    message        text not null,
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, connection_id, entity, external_id),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade
);

-- What is to be told the other system. The key is the same for every attempt at one version of one thing.
create table sync_pushes (
    id               integer primary key autoincrement,
    tenant_id        integer not null,
    connection_id    integer not null,
    entity           text not null check (entity in ('products', 'customers', 'inventory')),
    internal_id      integer not null,
    location_id      integer,
    version          integer not null,
    idempotency_key  text not null,
    status           text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'superseded')),
    error            text,
    created_at       integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    sent_at          integer,
    unique (tenant_id, id),
    unique (tenant_id, idempotency_key),
    foreign key (tenant_id, connection_id) references sync_connections (tenant_id, id) on delete cascade,
    foreign key (tenant_id, location_id) references locations (tenant_id, id)
);
create index sync_pushes_pending on sync_pushes (tenant_id, connection_id, entity, id) where status = 'pending';

alter table sync_logs add column connection_id integer;
alter table sync_logs add column direction text not null default 'pull' check (direction in ('pull', 'push'));
alter table sync_logs add column is_full integer not null default 0 check (is_full in (0, 1));
alter table sync_logs add column requests integer not null default 0;
alter table sync_logs add column pages integer not null default 0;
alter table sync_logs add column records integer not null default 0;
alter table sync_logs add column created integer not null default 0;
alter table sync_logs add column changed integer not null default 0;
alter table sync_logs add column unchanged integer not null default 0;
alter table sync_logs add column refused integer not null default 0;
alter table sync_logs add column disputed integer not null default 0;
alter table sync_logs add column deleted integer not null default 0;
alter table sync_logs add column error_code text;
alter table sync_logs add column started_at integer;
