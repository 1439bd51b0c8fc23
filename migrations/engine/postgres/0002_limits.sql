-- What a tenant may use, and what it has used.

-- A limit nobody has set is null. Scope 'total' is everything of the tenant, 'queue' one queue, 'key' the jobs that
-- share a concurrency key, whatever their kinds.
create table fairlane_limits (
    tenant_id           bigint not null references fairlane_tenants (id),
    scope               text not null check (scope in ('total', 'queue', 'key')),
    name                text not null default '',
    -- Jobs that run at the same time.
    concurrency         bigint check (concurrency >= 0),
    -- Jobs that start in a period, and how many of them may start at once.
    start_count         bigint check (start_count > 0),
    start_period_ms     bigint check (start_period_ms > 0),
    start_burst         bigint check (start_burst > 0),
    -- Jobs that are dispatched in a period, and how many of them at once.
    dispatch_count      bigint check (dispatch_count > 0),
    dispatch_period_ms  bigint check (dispatch_period_ms > 0),
    dispatch_burst      bigint check (dispatch_burst > 0),
    -- Jobs that wait or run.
    pending             bigint check (pending >= 0),
    payload_bytes       bigint check (payload_bytes >= 0),
    changed_at          timestamptz not null default statement_timestamp(),
    primary key (tenant_id, scope, name)
);
create index fairlane_limits_by_change on fairlane_limits (changed_at);
-- A queue's quota counts what waits by the indexes of ready jobs and suspects, and the rest here: no job that is
-- dispatched to run now, runs and completes ever touches it.
create index fairlane_jobs_put_off on fairlane_jobs (tenant_id, queue)
    where state in ('scheduled', 'retryable', 'suspended');

-- Permits to run jobs of a limited tenant, leased to worker processes: those that are not over sum to at most the
-- limit. A process that dies keeps its permits until its jobs' leases are over too.
create table fairlane_permits (
    tenant_id  bigint not null references fairlane_tenants (id),
    scope      text not null,
    name       text not null,
    worker_id  uuid not null,
    permits    bigint not null check (permits >= 0),
    -- How many it could use; those who want more than they have share what the others leave.
    wanted     bigint not null check (wanted >= 0),
    until      timestamptz not null,
    primary key (tenant_id, scope, name, worker_id)
);
create index fairlane_permits_by_end on fairlane_permits (until);

-- When the next job of a rate-limited tenant may start, or be dispatched.
create table fairlane_rates (
    tenant_id  bigint not null references fairlane_tenants (id),
    scope      text not null,
    name       text not null,
    act        text not null check (act in ('start', 'dispatch')),
    next_at    timestamptz not null,
    primary key (tenant_id, scope, name, act)
);

-- Usage of jobs that have left the history and the failed jobs; what is still there is counted from there.
create table fairlane_usage (
    tenant_id  bigint not null references fairlane_tenants (id),
    -- The UTC day on which the jobs finished, YYYY-MM-DD.
    day        text not null,
    queue      text not null,
    worked_ms  bigint not null default 0,
    jobs       bigint not null default 0,
    failures   bigint not null default 0,
    primary key (tenant_id, day, queue)
);

-- Rows that change every second under load: vacuum by rows, not by share.
alter table fairlane_permits set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table fairlane_rates set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

do $$
declare t text;
begin
    foreach t in array array['fairlane_limits', 'fairlane_permits', 'fairlane_rates', 'fairlane_usage']
    loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy worker on %I to fairlane_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to fairlane_app using ('
            'tenant_id = nullif(current_setting(''fairlane.tenant_id'', true), '''')::bigint)', t);
    end loop;
end $$;

grant select, insert, update, delete on fairlane_limits, fairlane_permits, fairlane_rates, fairlane_usage to fairlane_worker;
grant select on fairlane_limits, fairlane_permits, fairlane_usage to fairlane_app;
-- A dispatch takes its place in the rate from the tenant's own transaction.
grant select, insert, update on fairlane_rates to fairlane_app;
