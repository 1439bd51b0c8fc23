-- Lines of orders and invoices name products of their own tenant.
alter table sales_order_lines add constraint sales_order_lines_product
    foreign key (tenant_id, product_id) references products (tenant_id, id);
alter table invoice_lines add constraint invoice_lines_product
    foreign key (tenant_id, product_id) references products (tenant_id, id);
create index invoice_lines_by_product on invoice_lines (tenant_id, product_id) where product_id is not null;
