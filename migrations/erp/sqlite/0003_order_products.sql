-- Lines of orders and invoices name products of their own tenant. SQLite cannot add a foreign key to a table: the keys
-- stand in 0001, where the table they refer to need not exist yet.
create index invoice_lines_by_product on invoice_lines (tenant_id, product_id) where product_id is not null;
