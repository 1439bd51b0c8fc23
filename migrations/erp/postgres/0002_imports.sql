-- Products, and the imports of files into the ERP's tables. Statements: workers/src/erp/jobs/process_bulk_import.

create table products (
    id                bigint generated always as identity primary key,
    tenant_id         bigint not null references fairlane_tenants (id),
    sku               text,
    barcode           text,
    external_handle   text,
    -- Handle and option values: what a product without code is found by.
    handle_key        text,
    name              text not null check (name <> ''),
    category          text,
    unit              text,
    price             numeric(19, 4) check (price >= 0),
    standard_cost     numeric(19, 4) check (standard_cost >= 0),
    reorder_level     numeric(18, 6) check (reorder_level >= 0),
    reorder_quantity  numeric(18, 6) check (reorder_quantity >= 0),
    active            boolean not null default true,
    version           bigint not null default 1,
    created_at        timestamptz not null default statement_timestamp(),
    updated_at        timestamptz not null default statement_timestamp(),
    unique (tenant_id, id),
    unique (tenant_id, sku),
    unique (tenant_id, barcode),
    unique (tenant_id, handle_key),
    check (coalesce(sku, barcode, handle_key) is not null)
);

create table import_logs (
    id                   bigint generated always as identity primary key,
    tenant_id            bigint not null references fairlane_tenants (id),
    user_id              bigint,
    import_type          text not null,
    -- Below the folder of files, never absolute.
    file_path            text not null,
    file_name            text not null,
    file_size            bigint not null,
    sha256               text not null,
    mode                 text not null check (mode in ('create', 'update', 'upsert')),
    mapping              jsonb not null,
    options              jsonb not null,
    format               jsonb not null,
    job_id               uuid,
    status               text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
    result               text check (result in ('completed', 'completed_with_errors', 'failed', 'cancelled')),
    total_rows           bigint not null default 0,
    imported_rows        bigint not null default 0,
    failed_rows          bigint not null default 0,
    created_rows         bigint not null default 0,
    updated_rows         bigint not null default 0,
    unchanged_rows       bigint not null default 0,
    skipped_rows         bigint not null default 0,
    blank_rows           bigint not null default 0,
    read_bytes           bigint not null default 0,
    -- The first thousand refused rows; all of them are in import_errors.
    errors               jsonb not null default '[]',
    failure_code         text,
    failure              text,
    cancel_requested_at  timestamptz,
    started_at           timestamptz,
    completed_at         timestamptz,
    failed_at            timestamptz,
    created_at           timestamptz not null default statement_timestamp(),
    updated_at           timestamptz not null default statement_timestamp(),
    unique (tenant_id, id)
);
create index import_logs_by_type on import_logs (tenant_id, import_type);
create index import_logs_by_status on import_logs (tenant_id, status);
create index import_logs_by_file on import_logs (tenant_id, sha256);
-- One import of a type at a time, whatever starts together.
create unique index import_logs_processing on import_logs (tenant_id, import_type) where status = 'processing';

-- Every row that was refused, and every row left out, with the place in the file it can be read from again.
create table import_errors (
    tenant_id    bigint not null,
    import_id    bigint not null,
    record       bigint not null,
    line         bigint not null,
    byte_offset  bigint not null,
    outcome      text not null check (outcome in ('failed', 'skipped')),
    column_name  text,
    value        text,
    code         text not null,
    message      text not null,
    primary key (tenant_id, import_id, record),
    foreign key (tenant_id, import_id) references import_logs (tenant_id, id) on delete cascade
);

do $$
declare t text;
begin
    foreach t in array array['products', 'import_logs', 'import_errors']
    loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy worker on %I to fairlane_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to fairlane_app using ('
            'tenant_id = nullif(current_setting(''fairlane.tenant_id'', true), '''')::bigint)', t);
    end loop;
end $$;

grant select, insert, update, delete on products, import_logs, import_errors to fairlane_app, fairlane_worker;
