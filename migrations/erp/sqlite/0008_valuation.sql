-- Valuing the stock: how far each product is valued and what is needed to go on from there, the log of runs, and what each
-- run found. Statements: workers/src/erp/store/valuation.

insert into permissions (code, description) values
    ('inventory.valuation.restate', 'Have the stock valued anew although values of closed books change');

-- What of a cost belongs to goods that were gone when it came: cost of goods sold.
alter table movement_valuations add column expensed text not null default '0'
    check (expensed glob '*[0-9]*' and not expensed glob '*[^-0-9.]*');

-- A product is valued up to as_of_seq; last_at: the latest of these movements. state: what going on needs (layers,
-- what left before it came). version counts the writes: whoever computed from another one computes again.
create table valuation_states (
    tenant_id   integer not null references fairlane_tenants (id),
    scope       text not null check (scope in ('product', 'location', 'batch', 'location_batch')),
    product_id  integer not null,
    as_of_seq   integer not null,
    last_at     integer,
    version     integer not null,
    state       text not null,
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, scope, product_id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);

-- product and location are codes as they were typed; as_of: values of that day, nothing is kept but the results.
create table valuation_runs (
    id             integer primary key autoincrement,
    tenant_id      integer not null references fairlane_tenants (id),
    status         text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed',
                       'cancelled')),
    scope          text not null check (scope in ('product', 'location', 'batch', 'location_batch')),
    method         text check (method in ('fifo', 'average')),
    product        text,
    location       text,
    as_of          text,
    forced_by      integer,
    job_id         text,
    products       integer not null default 0,
    done           integer not null default 0,
    refused        integer not null default 0,
    movements      integer not null default 0,
    old_value      text not null default '0' check (old_value glob '*[0-9]*' and not old_value glob '*[^-0-9.]*'),
    new_value      text not null default '0' check (new_value glob '*[0-9]*' and not new_value glob '*[^-0-9.]*'),
    error_message  text,
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    started_at     integer,
    completed_at   integer,
    failed_at      integer,
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    foreign key (tenant_id, forced_by) references users (tenant_id, id)
);
create index valuation_runs_by_job on valuation_runs (tenant_id, job_id);

-- outcome: valued (it may have changed nothing) or refused, with the reason.
create table valuation_results (
    tenant_id     integer not null references fairlane_tenants (id),
    run_id        integer not null,
    product_id    integer not null,
    outcome       text not null check (outcome in ('valued', 'refused')),
    quantity      text check (quantity glob '*[0-9]*' and not quantity glob '*[^-0-9.]*'),
    old_value     text check (old_value glob '*[0-9]*' and not old_value glob '*[^-0-9.]*'),
    value         text check (value glob '*[0-9]*' and not value glob '*[^-0-9.]*'),
    average_cost  text check (average_cost glob '*[0-9]*' and not average_cost glob '*[^-0-9.]*'),
    movements     integer not null default 0,
    as_of_seq     integer not null default 0,
    error         text,
    primary key (tenant_id, run_id, product_id),
    foreign key (tenant_id, run_id) references valuation_runs (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);

-- The order of a replay, and what it leaves out.
create index stock_movements_by_product_and_time on stock_movements (tenant_id, product_id, effective_at, seq);
create index stock_movements_reversals on stock_movements (tenant_id, product_id, reverses_id)
    where reverses_id is not null;
