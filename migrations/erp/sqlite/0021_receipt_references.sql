-- A delivery note's number makes a goods receipt repeatable: the same one again is the same receipt.
alter table goods_receipts add column reference text check (reference <> '');
create unique index goods_receipts_by_reference on goods_receipts (tenant_id, purchase_order_id, reference)
    where reference is not null;
