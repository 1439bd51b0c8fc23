-- The engine's tables. They live inside the application's database, so every name carries the prefix.
-- Every statement of the engine is in src/store; the reasons for the shapes are in docs/ARCHITECTURE.md.
-- The roles fairlane_owner, fairlane_app and fairlane_worker exist before this runs (src/store/roles.rs).

create table fairlane_tenants (
    id            bigint generated always as identity primary key,
    slug          text not null unique check (slug ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name          text not null,
    weight        double precision not null default 1 check (weight > 0),
    paused_at     timestamptz,
    pause_reason  text,
    -- Since when it takes no new jobs, while those that wait are worked off.
    draining_at   timestamptz,
    drain_reason  text,
    created_at    timestamptz not null default statement_timestamp(),
    -- Workers look at the latest of these to learn that a weight, a pause or a limit has changed.
    changed_at    timestamptz not null default statement_timestamp()
);
create index fairlane_tenants_by_change on fairlane_tenants (changed_at);

-- The queues somebody has touched: a queue without a row is open and unlimited.
create table fairlane_queues (
    name          text primary key,
    paused_at     timestamptz,
    paused_until  timestamptz,
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
    served_at     timestamptz not null default statement_timestamp(),
    primary key (event_name, listener)
);

create table fairlane_events (
    id                 uuid primary key,
    tenant_id          bigint not null references fairlane_tenants (id),
    name               text not null,
    version            integer not null default 1,
    source             text,
    aggregate_type     text,
    aggregate_id       text,
    aggregate_version  bigint,
    actor              text,
    correlation_id     uuid,
    causation_id       uuid,
    trace              text,
    priority           integer not null,
    payload            jsonb not null,
    metadata           jsonb,
    occurred_at        timestamptz not null default statement_timestamp(),
    seq                bigint generated always as identity,
    -- Sequence order is not commit order: a reader that follows the log stops at the oldest writer in flight.
    txid               xid8 not null default pg_current_xact_id(),
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
    id                   uuid primary key,
    tenant_id            bigint not null,
    queue                text not null,
    kind                 text not null,
    priority             integer not null check (priority between 0 and 9),
    state                text not null
        check (state in ('scheduled', 'available', 'executing', 'retryable', 'suspended')),
    run_at               timestamptz not null,
    payload              jsonb not null,
    event_id             uuid,
    -- attempt: starts that were the job's own fault; runs: every start, never given back.
    attempt              integer not null default 0,
    runs                 integer not null default 0,
    generation           integer not null default 0,
    max_attempts         integer,
    timeout_ms           bigint,
    retry_until          timestamptz,
    crashes              integer not null default 0,
    leases_lost          integer not null default 0,
    interruptions        integer not null default 0,
    suspect              boolean not null default false,
    token                uuid,
    lease_until          timestamptz,
    worker_id            uuid,
    started_at           timestamptz,
    cancel_requested_at  timestamptz,
    cancel_reason        text,
    unique_key           text,
    unique_mode          text check (unique_mode in ('until_done', 'until_started', 'for_period')),
    unique_for_ms        bigint,
    concurrency_key      text,
    correlation_id       uuid,
    causation_id         uuid,
    trace                text,
    progress_done        bigint,
    progress_total       bigint,
    -- Worker time of runs that are over: retried, snoozed, given back, or lost with their process.
    worked_ms            bigint not null default 0,
    checkpoint           jsonb,
    created_at           timestamptz not null default statement_timestamp(),
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
    job_id       uuid not null,
    run          integer not null,
    tenant_id    bigint not null references fairlane_tenants (id),
    attempt      integer not null,
    generation   integer not null,
    worker_id    uuid,
    started_at   timestamptz,
    finished_at  timestamptz not null default statement_timestamp(),
    outcome      text not null,
    code         text,
    error        text,
    primary key (job_id, run)
);
create index fairlane_attempts_by_age on fairlane_attempts (finished_at);

create table fairlane_failed_jobs (
    id               uuid primary key,
    tenant_id        bigint not null references fairlane_tenants (id),
    queue            text not null,
    kind             text not null,
    priority         integer not null,
    payload          jsonb not null,
    event_id         uuid,
    attempt          integer not null,
    runs             integer not null,
    generation       integer not null,
    max_attempts     integer,
    timeout_ms       bigint,
    crashes          integer not null,
    unique_key       text,
    unique_mode      text,
    unique_for_ms    bigint,
    concurrency_key  text,
    correlation_id   uuid,
    causation_id     uuid,
    trace            text,
    checkpoint       jsonb,
    progress_done    bigint,
    progress_total   bigint,
    worked_ms        bigint not null default 0,
    code             text not null,
    error            text not null,
    fingerprint      text not null,
    created_at       timestamptz not null,
    failed_at        timestamptz not null default statement_timestamp(),
    unique (tenant_id, id)
);
create index fairlane_failed_jobs_by_age on fairlane_failed_jobs (failed_at, id);
create index fairlane_failed_jobs_by_tenant on fairlane_failed_jobs (tenant_id, failed_at, id);
create index fairlane_failed_jobs_by_group on fairlane_failed_jobs (fingerprint, failed_at, id);
create index fairlane_failed_jobs_by_event on fairlane_failed_jobs (event_id) where event_id is not null;

create table fairlane_job_history (
    id              uuid primary key,
    tenant_id       bigint not null,
    queue           text not null,
    kind            text not null,
    priority        integer not null,
    state           text not null check (state in ('completed', 'cancelled')),
    reason          text,
    payload         jsonb not null,
    event_id        uuid,
    attempt         integer not null,
    runs            integer not null,
    generation      integer not null,
    worker_id       uuid,
    correlation_id  uuid,
    causation_id    uuid,
    trace           text,
    progress_done   bigint,
    progress_total  bigint,
    worked_ms       bigint not null default 0,
    created_at      timestamptz not null,
    started_at      timestamptz,
    finished_at     timestamptz not null default statement_timestamp()
);
create index fairlane_job_history_by_age on fairlane_job_history (finished_at, id);
create index fairlane_job_history_by_tenant on fairlane_job_history (tenant_id, finished_at, id);
create index fairlane_job_history_by_event on fairlane_job_history (event_id) where event_id is not null;

-- Who holds which unique or idempotency key. Apart from the jobs, because jobs leave the live table.
create table fairlane_unique_keys (
    tenant_id   bigint not null references fairlane_tenants (id),
    scope       text not null,
    key         text not null,
    job_id      uuid not null,
    expires_at  timestamptz not null,
    primary key (tenant_id, scope, key)
);
create index fairlane_unique_keys_by_job on fairlane_unique_keys (job_id);
create index fairlane_unique_keys_by_expiry on fairlane_unique_keys (expires_at);

-- One row for each event a listener has finished with: a second delivery finds it and does nothing.
create table fairlane_listener_runs (
    tenant_id    bigint not null references fairlane_tenants (id),
    event_id     uuid not null,
    listener     text not null,
    job_id       uuid not null,
    finished_at  timestamptz not null default statement_timestamp(),
    primary key (tenant_id, event_id, listener)
);
create index fairlane_listener_runs_by_event on fairlane_listener_runs (event_id);

-- Worker processes, for people. Liveness of a job is its lease, never a row of this table.
create table fairlane_workers (
    id                 uuid primary key,
    name               text not null,
    host               text not null,
    pid                bigint not null,
    version            text not null,
    queues             text not null,
    concurrency        integer not null,
    state              text not null check (state in ('running', 'paused', 'draining', 'stopped')),
    running            integer not null default 0,
    started_at         timestamptz not null default statement_timestamp(),
    seen_at            timestamptz not null default statement_timestamp(),
    stop_requested_at  timestamptz,
    stopped_at         timestamptz,
    stop_reason        text
);
create index fairlane_workers_by_age on fairlane_workers (seen_at);

create table fairlane_schedules (
    id            uuid primary key,
    tenant_id     bigint not null references fairlane_tenants (id),
    name          text not null,
    cron          text not null,
    timezone      text not null,
    kind          text not null,
    payload       jsonb not null,
    queue         text not null,
    priority      integer not null,
    missed        text not null check (missed in ('skip', 'once', 'all')),
    paused_at     timestamptz,
    next_tick_at  timestamptz not null,
    last_tick_at  timestamptz,
    last_job_id   uuid,
    created_at    timestamptz not null default statement_timestamp(),
    unique (tenant_id, name)
);
create index fairlane_schedules_due on fairlane_schedules (next_tick_at) where paused_at is null;

-- What people did: append-only.
create table fairlane_audit (
    id         uuid primary key,
    tenant_id  bigint references fairlane_tenants (id),
    at         timestamptz not null default statement_timestamp(),
    actor      text not null,
    action     text not null,
    target     text not null,
    affected   bigint not null,
    reason     text,
    detail     jsonb
);
create index fairlane_audit_by_age on fairlane_audit (at, id);

-- The hot tables turn over completely many times an hour: vacuum by rows, not by share, and without pausing.
alter table fairlane_jobs set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table fairlane_unique_keys set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Row-level security, the second wall: fairlane_app sees one tenant, fairlane_worker claims across tenants.
-- FORCE binds the owner too. nullif: after a transaction the setting is '', not null.
alter table fairlane_tenants enable row level security;
alter table fairlane_tenants force row level security;
create policy worker on fairlane_tenants to fairlane_worker using (true) with check (true);
create policy tenant on fairlane_tenants for select to fairlane_app using (
    id = nullif(current_setting('fairlane.tenant_id', true), '')::bigint
    or slug = nullif(current_setting('fairlane.tenant_slug', true), ''));

do $$
declare t text;
begin
    foreach t in array array['fairlane_events', 'fairlane_jobs', 'fairlane_attempts', 'fairlane_failed_jobs',
        'fairlane_job_history', 'fairlane_unique_keys', 'fairlane_listener_runs', 'fairlane_schedules', 'fairlane_audit']
    loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy worker on %I to fairlane_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to fairlane_app using ('
            'tenant_id = nullif(current_setting(''fairlane.tenant_id'', true), '''')::bigint)', t);
    end loop;
end $$;

grant select, insert, update, delete on fairlane_tenants, fairlane_queues, fairlane_subscriptions, fairlane_events,
    fairlane_jobs, fairlane_attempts, fairlane_failed_jobs, fairlane_job_history, fairlane_unique_keys,
    fairlane_listener_runs, fairlane_workers, fairlane_schedules to fairlane_worker;
grant select, insert on fairlane_audit to fairlane_worker;
grant select on fairlane_tenants, fairlane_queues, fairlane_subscriptions to fairlane_app;
-- Events are facts: a tenant's transaction adds them and reads them, nothing else.
grant select, insert on fairlane_events, fairlane_audit, fairlane_job_history, fairlane_listener_runs to fairlane_app;
grant select, insert, update, delete on fairlane_jobs, fairlane_attempts, fairlane_failed_jobs,
    fairlane_unique_keys, fairlane_schedules to fairlane_app;

-- The names people know from other queues, where the application has not taken them.
do $$
begin
    if to_regclass('jobs') is null then
        execute 'create view jobs with (security_invoker = true) as
            select id, queue, payload, attempt as attempts, started_at as reserved_at, run_at as available_at, created_at,
                   tenant_id, kind, state, priority from fairlane_jobs';
        execute 'grant select on jobs to fairlane_worker, fairlane_app';
    end if;
    if to_regclass('failed_jobs') is null then
        execute 'create view failed_jobs with (security_invoker = true) as
            select id, id::text as uuid, ''database''::text as connection, queue, payload, error as exception, failed_at,
                   tenant_id, kind from fairlane_failed_jobs';
        execute 'grant select on failed_jobs to fairlane_worker, fairlane_app';
    end if;
end $$;
