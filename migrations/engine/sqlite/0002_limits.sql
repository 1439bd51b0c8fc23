-- What a tenant may use, and what it has used. Types as in 0001.

-- A limit nobody has set is null. Scope 'total' is everything of the tenant, 'queue' one queue, 'key' the jobs that
-- share a concurrency key, whatever their kinds.
create table fairlane_limits (
    tenant_id           integer not null references fairlane_tenants (id),
    scope               text not null check (scope in ('total', 'queue', 'key')),
    name                text not null default '',
    -- Jobs that run at the same time.
    concurrency         integer check (concurrency >= 0),
    -- Jobs that start in a period, and how many of them may start at once.
    start_count         integer check (start_count > 0),
    start_period_ms     integer check (start_period_ms > 0),
    start_burst         integer check (start_burst > 0),
    -- Jobs that are dispatched in a period, and how many of them at once.
    dispatch_count      integer check (dispatch_count > 0),
    dispatch_period_ms  integer check (dispatch_period_ms > 0),
    dispatch_burst      integer check (dispatch_burst > 0),
    -- Jobs that wait or run.
    pending             integer check (pending >= 0),
    payload_bytes       integer check (payload_bytes >= 0),
    changed_at          integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
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
    tenant_id  integer not null references fairlane_tenants (id),
    scope      text not null,
    name       text not null,
    worker_id  text not null,
    permits    integer not null check (permits >= 0),
    -- How many it could use; those who want more than they have share what the others leave.
    wanted     integer not null check (wanted >= 0),
    until      integer not null,
    primary key (tenant_id, scope, name, worker_id)
);
create index fairlane_permits_by_end on fairlane_permits (until);

-- When the next job of a rate-limited tenant may start, or be dispatched.
create table fairlane_rates (
    tenant_id  integer not null references fairlane_tenants (id),
    scope      text not null,
    name       text not null,
    act        text not null check (act in ('start', 'dispatch')),
    next_at    integer not null,
    primary key (tenant_id, scope, name, act)
);

-- Usage of jobs that have left the history and the failed jobs; what is still there is counted from there.
create table fairlane_usage (
    tenant_id  integer not null references fairlane_tenants (id),
    -- The UTC day on which the jobs finished, YYYY-MM-DD.
    day        text not null,
    queue      text not null,
    worked_ms  integer not null default 0,
    jobs       integer not null default 0,
    failures   integer not null default 0,
    primary key (tenant_id, day, queue)
);
