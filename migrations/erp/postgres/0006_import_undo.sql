-- What an import changed, so that it can be undone; how far an undoing is; counted and added stock besides kept records.
-- Statements: workers/src/erp/jobs/process_bulk_import/undo.

-- One row per record that an import created or changed. pre_image: the whole row as it was before, nothing for a new one.
-- version: what the import left; a record with another one was changed since. outcome: what undoing it came to.
create table import_changes (
    tenant_id   bigint not null,
    import_id   bigint not null,
    entity      text not null,
    entity_id   bigint not null,
    version     bigint not null,
    pre_image   jsonb,
    outcome     text check (outcome in ('deleted', 'restored', 'reversed', 'conflict')),
    label       text,
    code        text,
    message     text,
    primary key (tenant_id, import_id, entity, entity_id),
    foreign key (tenant_id, import_id) references import_logs (tenant_id, id) on delete cascade
);
create index import_changes_conflicts on import_changes (tenant_id, import_id, entity_id) where outcome = 'conflict';

-- stock_mode: how the quantities of an inventory are meant; such an import has no other mode.
alter table import_logs
    add column stock_mode text check (stock_mode in ('count', 'delta')),
    add column undo_status text check (undo_status in ('pending', 'processing', 'completed', 'failed')),
    add column undo_job_id uuid,
    add column undo_failure text,
    add column undone_rows bigint not null default 0,
    add column conflict_rows bigint not null default 0,
    add column undo_requested_at timestamptz,
    add column undone_at timestamptz;

alter table import_changes enable row level security;
alter table import_changes force row level security;
create policy worker on import_changes to fairlane_worker using (true) with check (true);
create policy tenant on import_changes to fairlane_app using (
    tenant_id = nullif(current_setting('fairlane.tenant_id', true), '')::bigint);
grant select, insert, update, delete on import_changes to fairlane_app, fairlane_worker;

-- A record that an import created and nothing refers to is taken away when the import is undone, with its statistics.
grant delete on customers, vendors, customer_statistics to fairlane_app;
-- Whether lines name a product is asked for every product that goes.
create index purchase_order_lines_by_product on purchase_order_lines (tenant_id, product_id);
create index goods_receipt_lines_by_product on goods_receipt_lines (tenant_id, product_id);
-- Without a code customers are found by their address and vendors by their name, in either case (of ASCII alone: what
-- both databases fold alike).
create index customers_by_folded_email on customers (tenant_id, lower(email collate "C")) where email is not null;
create index vendors_by_folded_name on vendors (tenant_id, lower(name collate "C"));
