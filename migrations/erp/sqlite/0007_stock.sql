-- A product's ledger is locked before its first movement has a number: a reservation may come first.
create table stock_ledgers_new (
    tenant_id   integer not null,
    product_id  integer not null,
    last_seq    integer not null check (last_seq >= 0),
    primary key (tenant_id, product_id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);
insert into stock_ledgers_new (tenant_id, product_id, last_seq) select tenant_id, product_id, last_seq from stock_ledgers;
drop table stock_ledgers;
alter table stock_ledgers_new rename to stock_ledgers;
