-- The engine's tables. They live inside the application's database, so every name carries the prefix.
-- Every statement of the engine is in src/store; the reasons for the shapes are in docs/ARCHITECTURE.md.
-- Types: time stamps are microseconds since 1970 (UTC), ids and JSON are text, truth values 0 and 1.

create table fairlane_tenants (
    id            integer primary key autoincrement,
    slug          text not null unique check (slug glob '[a-z0-9]*' and not slug glob '*[^a-z0-9_-]*' and length(slug) <= 63),
    name          text not null,
    weight        real not null default 1 check (weight > 0),
    paused_at     integer,
    pause_reason  text,
    -- Since when it takes no new jobs, while those that wait are worked off.
    draining_at   integer,
    drain_reason  text,
    created_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    -- Workers look at the latest of these to learn that a weight, a pause or a limit has changed.
    changed_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
);
create index fairlane_tenants_by_change on fairlane_tenants (changed_at);

-- The queues somebody has touched: a queue without a row is open and unlimited.
create table fairlane_queues (
    name          text primary key,
    paused_at     integer,
    paused_until  integer,
    paused_by     text,
    pause_reason  text
);

-- Which listener wants which event. Every process that serves a registry writes its own, so that a
-- publisher on an older release, or plain SQL, misses none.
create table fairlane_subscriptions (
    event_name    text not null,
    listener      text not null,
    queue         text not null,
    priority      integer not null,
    max_attempts  integer,
    served_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (event_name, listener)
);

create table fairlane_events (
    id                 text primary key,
    tenant_id          integer not null references fairlane_tenants (id),
    name               text not null,
    version            integer not null default 1,
    source             text,
    aggregate_type     text,
    aggregate_id       text,
    aggregate_version  integer,
    actor              text,
    correlation_id     text,
    causation_id       text,
    trace              text,
    priority           integer not null,
    payload            text not null,
    metadata           text,
    occurred_at        integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id)
);
create index fairlane_events_by_name on fairlane_events (tenant_id, name, id);
create index fairlane_events_by_aggregate on fairlane_events (tenant_id, aggregate_type, aggregate_id)
    where aggregate_id is not null;
create index fairlane_events_by_age on fairlane_events (occurred_at);

-- Live jobs only: a finished job moves to the history, one that gave up to the failed jobs. No foreign key to the tenants:
-- every insert would lock the tenant's row (shared, but written), and the check costs as much as an index. Who dispatches
-- looks the tenant up.
create table fairlane_jobs (
    id                   text primary key,
    tenant_id            integer not null,
    queue                text not null,
    kind                 text not null,
    priority             integer not null check (priority between 0 and 9),
    state                text not null
        check (state in ('scheduled', 'available', 'executing', 'retryable', 'suspended')),
    run_at               integer not null,
    payload              text not null,
    event_id             text,
    -- attempt: starts that were the job's own fault; runs: every start, never given back.
    attempt              integer not null default 0,
    runs                 integer not null default 0,
    generation           integer not null default 0,
    max_attempts         integer,
    timeout_ms           integer,
    retry_until          integer,
    crashes              integer not null default 0,
    leases_lost          integer not null default 0,
    interruptions        integer not null default 0,
    suspect              integer not null default 0,
    token                text,
    lease_until          integer,
    worker_id            text,
    started_at           integer,
    cancel_requested_at  integer,
    cancel_reason        text,
    unique_key           text,
    unique_mode          text check (unique_mode in ('until_done', 'until_started', 'for_period')),
    unique_for_ms        integer,
    concurrency_key      text,
    correlation_id       text,
    causation_id         text,
    trace                text,
    progress_done        integer,
    progress_total       integer,
    -- Worker time of runs that are over: retried, snoozed, given back, or lost with their process.
    worked_ms            integer not null default 0,
    checkpoint           text,
    created_at           integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    check ((state = 'executing') = (token is not null)),
    check ((state = 'executing') = (lease_until is not null))
);
-- The claim: ready rows only, so the index stays as small as the work that may run now. A lane is a (queue, tenant).
create index fairlane_jobs_ready on fairlane_jobs (queue, tenant_id, priority, run_at, id)
    where state = 'available' and not suspect;
-- Suspects, usually none: looked for by every worker, whatever the backlog.
create index fairlane_jobs_suspects on fairlane_jobs (queue, tenant_id, priority, run_at, id)
    where state = 'available' and suspect;
create index fairlane_jobs_due on fairlane_jobs (run_at) where state in ('scheduled', 'retryable');
-- Leads with a value that grows: an index that leads with the tenant halves the claim (measured).
create index fairlane_jobs_leases on fairlane_jobs (lease_until) where state = 'executing';
create index fairlane_jobs_by_event on fairlane_jobs (event_id) where event_id is not null;
-- Jobs that were set aside until their key is free: usually none.
create index fairlane_jobs_aside on fairlane_jobs (tenant_id, concurrency_key, priority, run_at, id)
    where state = 'suspended' and concurrency_key is not null;
-- Jobs that share a key, in the order in which they may start.
create index fairlane_jobs_by_key on fairlane_jobs (tenant_id, concurrency_key, priority, run_at, id)
    where concurrency_key is not null;

-- Errors of single attempts, the first and the last ten of each job, kept while the job is live, failed or in the history.
create table fairlane_attempts (
    job_id       text not null,
    run          integer not null,
    tenant_id    integer not null references fairlane_tenants (id),
    attempt      integer not null,
    generation   integer not null,
    worker_id    text,
    started_at   integer,
    finished_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    outcome      text not null,
    code         text,
    error        text,
    primary key (job_id, run)
);
create index fairlane_attempts_by_age on fairlane_attempts (finished_at);

create table fairlane_failed_jobs (
    id               text primary key,
    tenant_id        integer not null references fairlane_tenants (id),
    queue            text not null,
    kind             text not null,
    priority         integer not null,
    payload          text not null,
    event_id         text,
    attempt          integer not null,
    runs             integer not null,
    generation       integer not null,
    max_attempts     integer,
    timeout_ms       integer,
    crashes          integer not null,
    unique_key       text,
    unique_mode      text,
    unique_for_ms    integer,
    concurrency_key  text,
    correlation_id   text,
    causation_id     text,
    trace            text,
    checkpoint       text,
    progress_done    integer,
    progress_total   integer,
    worked_ms        integer not null default 0,
    code             text not null,
    error            text not null,
    fingerprint      text not null,
    created_at       integer not null,
    failed_at        integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id)
);
create index fairlane_failed_jobs_by_age on fairlane_failed_jobs (failed_at, id);
create index fairlane_failed_jobs_by_tenant on fairlane_failed_jobs (tenant_id, failed_at, id);
create index fairlane_failed_jobs_by_group on fairlane_failed_jobs (fingerprint, failed_at, id);
create index fairlane_failed_jobs_by_event on fairlane_failed_jobs (event_id) where event_id is not null;

create table fairlane_job_history (
    id              text primary key,
    tenant_id       integer not null,
    queue           text not null,
    kind            text not null,
    priority        integer not null,
    state           text not null check (state in ('completed', 'cancelled')),
    reason          text,
    payload         text not null,
    event_id        text,
    attempt         integer not null,
    runs            integer not null,
    generation      integer not null,
    worker_id       text,
    correlation_id  text,
    causation_id    text,
    trace           text,
    progress_done   integer,
    progress_total  integer,
    worked_ms       integer not null default 0,
    created_at      integer not null,
    started_at      integer,
    finished_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
);
create index fairlane_job_history_by_age on fairlane_job_history (finished_at, id);
create index fairlane_job_history_by_tenant on fairlane_job_history (tenant_id, finished_at, id);
create index fairlane_job_history_by_event on fairlane_job_history (event_id) where event_id is not null;

-- Who holds which unique or idempotency key. Apart from the jobs, because jobs leave the live table.
create table fairlane_unique_keys (
    tenant_id   integer not null references fairlane_tenants (id),
    scope       text not null,
    key         text not null,
    job_id      text not null,
    expires_at  integer not null,
    primary key (tenant_id, scope, key)
);
create index fairlane_unique_keys_by_job on fairlane_unique_keys (job_id);
create index fairlane_unique_keys_by_expiry on fairlane_unique_keys (expires_at);

-- One row for each event a listener has finished with: a second delivery finds it and does nothing.
create table fairlane_listener_runs (
    tenant_id    integer not null references fairlane_tenants (id),
    event_id     text not null,
    listener     text not null,
    job_id       text not null,
    finished_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, event_id, listener)
);
create index fairlane_listener_runs_by_event on fairlane_listener_runs (event_id);

-- Worker processes, for people. Liveness of a job is its lease, never a row of this table.
create table fairlane_workers (
    id                 text primary key,
    name               text not null,
    host               text not null,
    pid                integer not null,
    version            text not null,
    queues             text not null,
    concurrency        integer not null,
    state              text not null check (state in ('running', 'paused', 'draining', 'stopped')),
    running            integer not null default 0,
    started_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    seen_at            integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    stop_requested_at  integer,
    stopped_at         integer,
    stop_reason        text
);
create index fairlane_workers_by_age on fairlane_workers (seen_at);

create table fairlane_schedules (
    id            text primary key,
    tenant_id     integer not null references fairlane_tenants (id),
    name          text not null,
    cron          text not null,
    timezone      text not null,
    kind          text not null,
    payload       text not null,
    queue         text not null,
    priority      integer not null,
    missed        text not null check (missed in ('skip', 'once', 'all')),
    paused_at     integer,
    next_tick_at  integer not null,
    last_tick_at  integer,
    last_job_id   text,
    created_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, name)
);
create index fairlane_schedules_due on fairlane_schedules (next_tick_at) where paused_at is null;

-- What people did: append-only.
create table fairlane_audit (
    id         text primary key,
    tenant_id  integer references fairlane_tenants (id),
    at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    actor      text not null,
    action     text not null,
    target     text not null,
    affected   integer not null,
    reason     text,
    detail     text
);
create index fairlane_audit_by_age on fairlane_audit (at, id);

-- The names people know from other queues, where the application has not taken them.
create view if not exists jobs as
    select id, queue, payload, attempt as attempts, started_at as reserved_at, run_at as available_at, created_at,
           tenant_id, kind, state, priority from fairlane_jobs;
create view if not exists failed_jobs as
    select id, id as uuid, 'database' as connection, queue, payload, error as exception, failed_at,
           tenant_id, kind from fairlane_failed_jobs;
