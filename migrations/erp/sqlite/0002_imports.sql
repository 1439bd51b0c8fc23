-- Products, and the imports of files into the ERP's tables. Statements: workers/src/erp/jobs/process_bulk_import.
-- Decimals are canonical text, compared in code; time stamps are microseconds since 1970 (UTC).

create table products (
    id                integer primary key autoincrement,
    tenant_id         integer not null references fairlane_tenants (id),
    sku               text,
    barcode           text,
    external_handle   text,
    -- Handle and option values: what a product without code is found by.
    handle_key        text,
    name              text not null check (name <> ''),
    category          text,
    unit              text,
    price             text check (cast(price as real) >= 0),
    standard_cost     text check (cast(standard_cost as real) >= 0),
    reorder_level     text check (cast(reorder_level as real) >= 0),
    reorder_quantity  text check (cast(reorder_quantity as real) >= 0),
    active            integer not null default 1 check (active in (0, 1)),
    version           integer not null default 1,
    created_at        integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at        integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, sku),
    unique (tenant_id, barcode),
    unique (tenant_id, handle_key),
    check (coalesce(sku, barcode, handle_key) is not null)
);

create table import_logs (
    id                   integer primary key autoincrement,
    tenant_id            integer not null references fairlane_tenants (id),
    user_id              integer,
    import_type          text not null,
    -- Below the folder of files, never absolute.
    file_path            text not null,
    file_name            text not null,
    file_size            integer not null,
    sha256               text not null,
    mode                 text not null check (mode in ('create', 'update', 'upsert')),
    mapping              text not null,
    options              text not null,
    format               text not null,
    job_id               text,
    status               text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
    result               text check (result in ('completed', 'completed_with_errors', 'failed', 'cancelled')),
    total_rows           integer not null default 0,
    imported_rows        integer not null default 0,
    failed_rows          integer not null default 0,
    created_rows         integer not null default 0,
    updated_rows         integer not null default 0,
    unchanged_rows       integer not null default 0,
    skipped_rows         integer not null default 0,
    blank_rows           integer not null default 0,
    read_bytes           integer not null default 0,
    -- The first thousand refused rows; all of them are in import_errors.
    errors               text not null default '[]',
    failure_code         text,
    failure              text,
    cancel_requested_at  integer,
    started_at           integer,
    completed_at         integer,
    failed_at            integer,
    created_at           integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at           integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id)
);
create index import_logs_by_type on import_logs (tenant_id, import_type);
create index import_logs_by_status on import_logs (tenant_id, status);
create index import_logs_by_file on import_logs (tenant_id, sha256);
-- One import of a type at a time, whatever starts together.
create unique index import_logs_processing on import_logs (tenant_id, import_type) where status = 'processing';

-- Every row that was refused, and every row left out, with the place in the file it can be read from again.
create table import_errors (
    tenant_id    integer not null,
    import_id    integer not null,
    record       integer not null,
    line         integer not null,
    byte_offset  integer not null,
    outcome      text not null check (outcome in ('failed', 'skipped')),
    column_name  text,
    value        text,
    code         text not null,
    message      text not null,
    primary key (tenant_id, import_id, record),
    foreign key (tenant_id, import_id) references import_logs (tenant_id, id) on delete cascade
);
