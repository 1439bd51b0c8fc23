-- What an import changed, so that it can be undone; how far an undoing is; counted and added stock besides kept records.
-- Statements: workers/src/erp/jobs/process_bulk_import/undo.

-- One row per record that an import created or changed. pre_image: the whole row as it was before, nothing for a new one.
-- version: what the import left; a record with another one was changed since. outcome: what undoing it came to.
create table import_changes (
    tenant_id   integer not null,
    import_id   integer not null,
    entity      text not null,
    entity_id   integer not null,
    version     integer not null,
    pre_image   text,
    outcome     text check (outcome in ('deleted', 'restored', 'reversed', 'conflict')),
    label       text,
    code        text,
    message     text,
    primary key (tenant_id, import_id, entity, entity_id),
    foreign key (tenant_id, import_id) references import_logs (tenant_id, id) on delete cascade
) without rowid;
create index import_changes_conflicts on import_changes (tenant_id, import_id, entity_id) where outcome = 'conflict';

-- stock_mode: how the quantities of an inventory are meant; such an import has no other mode.
alter table import_logs add column stock_mode text check (stock_mode in ('count', 'delta'));
alter table import_logs add column undo_status text check (undo_status in ('pending', 'processing', 'completed', 'failed'));
alter table import_logs add column undo_job_id text;
alter table import_logs add column undo_failure text;
alter table import_logs add column undone_rows integer not null default 0;
alter table import_logs add column conflict_rows integer not null default 0;
alter table import_logs add column undo_requested_at integer;
alter table import_logs add column undone_at integer;

-- Whether lines name a product is asked for every product that goes.
create index purchase_order_lines_by_product on purchase_order_lines (tenant_id, product_id);
create index goods_receipt_lines_by_product on goods_receipt_lines (tenant_id, product_id);
-- Without a code customers are found by their address and vendors by their name, in either case (of ASCII alone: what
-- both databases fold alike).
create index customers_by_folded_email on customers (tenant_id, lower(email)) where email is not null;
create index vendors_by_folded_name on vendors (tenant_id, lower(name));
