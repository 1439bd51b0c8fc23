-- Reports: what was asked for, how far it is, the file it came to and until when that is kept. Goods that come back, and
-- where orders go to. Statements: workers/src/erp/store/reports.rs, store/returns.rs and store/report_rows/.

-- The period is calendar days of the zone, both included. result says how a report ended: status has no word for
-- "cancelled". file_key: below the folder of reports; none where there is no file, or no longer (removed_at).
alter table reports add column period_from text;
alter table reports add column period_to text;
alter table reports add column zone text;
alter table reports add column format text check (format in ('json', 'csv', 'xlsx', 'html'));
alter table reports add column result text check (result in ('completed', 'failed', 'cancelled'));
alter table reports add column failure_code text;
alter table reports add column file_key text;
alter table reports add column sha256 text;
alter table reports add column bytes integer;
alter table reports add column row_count integer;
alter table reports add column read_rows integer not null default 0;
alter table reports add column cancel_requested_at integer;
alter table reports add column started_at integer;
alter table reports add column expires_at integer;
alter table reports add column removed_at integer;
-- A job makes one report, however often it is started.
create unique index reports_once_per_job on reports (tenant_id, job_id) where job_id is not null;
create index reports_expiring on reports (tenant_id, expires_at) where file_key is not null;
create unique index reports_by_file on reports (tenant_id, file_key) where file_key is not null;

-- Where an order goes to, where that is known; else its customer's address says it.
alter table sales_orders add column country text check (country <> '');

-- Goods that customers gave back, as they were billed: with the order they come from where that is known.
create table sales_returns (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    number       text not null,
    order_id     integer,
    customer_id  integer not null,
    country      text check (country <> ''),
    currency     text not null,
    decimals     integer not null check (decimals between 0 and 4),
    net          text not null check (net glob '*[0-9]*' and not net glob '*[^0-9.]*'),
    tax          text not null check (tax glob '*[0-9]*' and not tax glob '*[^0-9.]*'),
    total        text not null check (total glob '*[0-9]*' and not total glob '*[^0-9.]*'),
    returned_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, number),
    foreign key (tenant_id, order_id) references sales_orders (tenant_id, id),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);
create index sales_returns_by_customer on sales_returns (tenant_id, customer_id);
create index sales_returns_by_order on sales_returns (tenant_id, order_id) where order_id is not null;

create table sales_return_lines (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    return_id    integer not null,
    line_no      integer not null check (line_no > 0),
    product_id   integer,
    sku          text,
    description  text not null,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*' and cast(quantity as real) > 0),
    unit_price   text not null check (unit_price glob '*[0-9]*' and not unit_price glob '*[^0-9.]*'),
    discount     text not null default '0' check (discount glob '*[0-9]*' and not discount glob '*[^0-9.]*'),
    tax_rate     text not null default '0' check (tax_rate glob '*[0-9]*' and not tax_rate glob '*[^0-9.]*'),
    unique (tenant_id, id),
    unique (tenant_id, return_id, line_no),
    foreign key (tenant_id, return_id) references sales_returns (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);
create index sales_return_lines_by_product on sales_return_lines (tenant_id, product_id) where product_id is not null;

-- Reports read by time, a page after the other.
create index sales_orders_by_time on sales_orders (tenant_id, ordered_at, id);
create index sales_returns_by_time on sales_returns (tenant_id, returned_at, id);
create index invoices_by_issue on invoices (tenant_id, issued_on, id);
create index payments_by_time on payments (tenant_id, received_at, id);
create index purchase_orders_by_time on purchase_orders (tenant_id, ordered_at, id);
