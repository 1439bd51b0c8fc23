-- Stock, purchasing, payments, leads, and the tables of reports, valuations and synchronisations. As in 0001: every row
-- belongs to a tenant, foreign keys go through (tenant_id, id), business keys begin with tenant_id.
-- Decimals are canonical text, compared in code; time stamps are microseconds since 1970 (UTC).
-- Statements: workers/src/erp/store.

insert into permissions (code, description) values
    ('inventory.alerts', 'Be told about low and expiring stock; a role given for a location counts there alone'),
    ('procurement', 'See purchase orders and goods receipts and be told about them'),
    ('sales.view', 'See orders and customers and be told about them'),
    ('reports.view', 'See reports and be told when they are made');

alter table products add column valuation text not null default 'average' check (valuation in ('fifo', 'average'));
alter table products add column track_batches integer not null default 0 check (track_batches in (0, 1));

create table locations (
    id          integer primary key autoincrement,
    tenant_id   integer not null references fairlane_tenants (id),
    code        text not null check (code <> ''),
    name        text not null,
    parent_id   integer,
    kind        text not null default 'internal' check (kind in ('internal', 'transit', 'vendor', 'customer', 'loss')),
    active      integer not null default 1 check (active in (0, 1)),
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, code),
    foreign key (tenant_id, parent_id) references locations (tenant_id, id)
);

-- A lot of a product, with the last day it may be used on.
create table batches (
    id          integer primary key autoincrement,
    tenant_id   integer not null references fairlane_tenants (id),
    product_id  integer not null,
    lot         text not null check (lot <> ''),
    expires_on  text,
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, product_id, lot),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);
create index batches_by_expiry on batches (tenant_id, expires_on) where expires_on is not null;

-- A role given for a location counts there alone; one without a location counts everywhere.
create table user_roles_new (
    id           integer primary key autoincrement,
    tenant_id    integer not null,
    user_id      integer not null,
    role_id      integer not null,
    location_id  integer,
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade,
    foreign key (tenant_id, role_id) references roles (tenant_id, id) on delete cascade,
    foreign key (tenant_id, location_id) references locations (tenant_id, id)
);
insert into user_roles_new (tenant_id, user_id, role_id) select tenant_id, user_id, role_id from user_roles;
drop table user_roles;
alter table user_roles_new rename to user_roles;
create index user_roles_by_role on user_roles (tenant_id, role_id);
create unique index user_roles_once on user_roles (tenant_id, user_id, role_id, coalesce(location_id, 0));

-- Where a line is delivered from; none is the tenant's first location. Rebuilt: SQLite adds no foreign key to a table.
create table sales_order_lines_new (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    order_id     integer not null,
    line_no      integer not null check (line_no > 0),
    product_id   integer,
    sku          text,
    description  text not null,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*'),
    unit_price   text not null check (unit_price glob '*[0-9]*' and not unit_price glob '*[^0-9.]*'),
    discount     text not null default '0' check (discount glob '*[0-9]*' and not discount glob '*[^0-9.]*'),
    tax_rate     text not null default '0' check (tax_rate glob '*[0-9]*' and not tax_rate glob '*[^0-9.]*'),
    location_id  integer,
    batch_id     integer,
    unique (tenant_id, id),
    unique (tenant_id, order_id, line_no),
    foreign key (tenant_id, order_id) references sales_orders (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id)
);
insert into sales_order_lines_new
    (id, tenant_id, order_id, line_no, product_id, sku, description, quantity, unit_price, discount, tax_rate)
    select id, tenant_id, order_id, line_no, product_id, sku, description, quantity, unit_price, discount, tax_rate
    from sales_order_lines;
drop table sales_order_lines;
alter table sales_order_lines_new rename to sales_order_lines;
create index sales_order_lines_by_product on sales_order_lines (tenant_id, product_id) where product_id is not null;

-- One row per product that ever moved: locked by whoever records a movement of it, so that the movements of a product
-- are numbered without gaps in the order of their commits, and its levels change one after another.
create table stock_ledgers (
    tenant_id   integer not null,
    product_id  integer not null,
    last_seq    integer not null check (last_seq > 0),
    primary key (tenant_id, product_id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);

-- What happened to the stock: only ever added to. A mistake is reversed by a movement of its own (reverses_id).
-- quantity is signed; a sale takes away. source_*: what caused it, so that no cause is recorded twice; source_part
-- counts the movements of one line that was taken from several batches.
create table stock_movements (
    id                   integer primary key autoincrement,
    tenant_id            integer not null references fairlane_tenants (id),
    seq                  integer not null,
    product_id           integer not null,
    location_id          integer not null,
    batch_id             integer,
    kind                 text not null check (kind in ('receipt', 'sale', 'return_in', 'return_out', 'transfer_out',
                             'transfer_in', 'count', 'adjust', 'landed_cost', 'revalue')),
    quantity             text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^-0-9.]*'),
    unit_cost            text check (unit_cost glob '*[0-9]*' and not unit_cost glob '*[^-0-9.]*'),
    amount               text check (amount glob '*[0-9]*' and not amount glob '*[^-0-9.]*'),
    effective_at         integer not null,
    recorded_at          integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    source_type          text not null,
    source_id            text not null,
    source_line          integer not null default 0,
    source_part          integer not null default 0,
    related_movement_id  integer,
    reverses_id          integer,
    reason               text,
    user_id              integer,
    unique (tenant_id, id),
    unique (tenant_id, product_id, seq),
    unique (tenant_id, source_type, source_id, source_line, source_part, kind),
    unique (tenant_id, reverses_id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id),
    foreign key (tenant_id, related_movement_id) references stock_movements (tenant_id, id),
    foreign key (tenant_id, reverses_id) references stock_movements (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index stock_movements_by_place on stock_movements (tenant_id, location_id, product_id, seq);
create index stock_movements_by_time on stock_movements (tenant_id, effective_at);

-- What is there, and what approved orders will take: a projection of the movements that can be rebuilt from them.
create table stock_levels (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    product_id   integer not null,
    location_id  integer not null,
    batch_id     integer,
    on_hand      text not null default '0' check (on_hand glob '*[0-9]*' and not on_hand glob '*[^-0-9.]*'),
    reserved     text not null default '0' check (reserved glob '*[0-9]*' and not reserved glob '*[^0-9.]*'),
    updated_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id)
);
create unique index stock_levels_once on stock_levels (tenant_id, product_id, location_id, coalesce(batch_id, 0));
create index stock_levels_by_location on stock_levels (tenant_id, location_id, product_id);

-- What an order holds back from its approval until it is delivered or called off.
create table stock_reservations (
    tenant_id    integer not null references fairlane_tenants (id),
    order_id     integer not null,
    line_no      integer not null,
    product_id   integer not null,
    location_id  integer not null,
    batch_id     integer,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*' and cast(quantity as real) > 0),
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, order_id, line_no),
    foreign key (tenant_id, order_id) references sales_orders (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id)
);

-- One row per crossing: opened when stock falls below its minimum (low) or a batch comes near its end (expiry, with the
-- days of the stage), closed when that is over.
create table stock_alerts (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    product_id   integer not null,
    location_id  integer not null,
    batch_id     integer,
    kind         text not null check (kind in ('low', 'expiry')),
    stage        integer not null default 0,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^-0-9.]*'),
    minimum      text check (minimum glob '*[0-9]*' and not minimum glob '*[^-0-9.]*'),
    opened_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    reminded_at  integer,
    closed_at    integer,
    unique (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id)
);
create unique index stock_alerts_open on stock_alerts
    (tenant_id, product_id, location_id, kind, coalesce(batch_id, 0), stage) where closed_at is null;

-- Values of the stock, computed from the movements. scope: what a pool of stock is (product, location, batch,
-- location_batch); location_id and batch_id are empty where the scope does not divide by them.
create table valuation_layers (
    id                  integer primary key autoincrement,
    tenant_id           integer not null references fairlane_tenants (id),
    scope               text not null check (scope in ('product', 'location', 'batch', 'location_batch')),
    product_id          integer not null,
    location_id         integer,
    batch_id            integer,
    movement_id         integer not null,
    position            integer not null,
    received_at         integer not null,
    quantity            text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^-0-9.]*'),
    value               text not null check (value glob '*[0-9]*' and not value glob '*[^-0-9.]*'),
    remaining_quantity  text not null check (remaining_quantity glob '*[0-9]*' and not remaining_quantity glob '*[^-0-9.]*'),
    remaining_value     text not null check (remaining_value glob '*[0-9]*' and not remaining_value glob '*[^-0-9.]*'),
    unique (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id),
    foreign key (tenant_id, movement_id) references stock_movements (tenant_id, id)
);
create index valuation_layers_by_pool on valuation_layers (tenant_id, scope, product_id, position);

create table movement_valuations (
    tenant_id    integer not null references fairlane_tenants (id),
    scope        text not null check (scope in ('product', 'location', 'batch', 'location_batch')),
    movement_id  integer not null,
    product_id   integer not null,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^-0-9.]*'),
    value        text not null check (value glob '*[0-9]*' and not value glob '*[^-0-9.]*'),
    provisional  integer not null default 0 check (provisional in (0, 1)),
    computed_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, scope, movement_id),
    foreign key (tenant_id, movement_id) references stock_movements (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);
create index movement_valuations_by_product on movement_valuations (tenant_id, scope, product_id);

create table stock_valuations (
    id            integer primary key autoincrement,
    tenant_id     integer not null references fairlane_tenants (id),
    scope         text not null check (scope in ('product', 'location', 'batch', 'location_batch')),
    method        text not null check (method in ('fifo', 'average')),
    product_id    integer not null,
    location_id   integer,
    batch_id      integer,
    quantity      text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^-0-9.]*'),
    value         text not null check (value glob '*[0-9]*' and not value glob '*[^-0-9.]*'),
    average_cost  text check (average_cost glob '*[0-9]*' and not average_cost glob '*[^-0-9.]*'),
    as_of_seq     integer not null,
    computed_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, batch_id) references batches (tenant_id, id)
);
create unique index stock_valuations_once on stock_valuations
    (tenant_id, scope, product_id, coalesce(location_id, 0), coalesce(batch_id, 0));

-- Recomputed from orders, invoices and payments, never counted up.
create table customer_statistics (
    tenant_id            integer not null references fairlane_tenants (id),
    customer_id          integer not null,
    total_orders         integer not null,
    total_spent          text not null check (total_spent glob '*[0-9]*' and not total_spent glob '*[^-0-9.]*'),
    outstanding_balance  text not null check (outstanding_balance glob '*[0-9]*' and not outstanding_balance glob '*[^-0-9.]*'),
    last_order_at        integer,
    last_payment_at      integer,
    computed_at          integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, customer_id),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);

create table leads (
    id                     integer primary key autoincrement,
    tenant_id              integer not null references fairlane_tenants (id),
    name                   text not null,
    email                  text,
    phone                  text,
    status                 text not null default 'open' check (status in ('open', 'converted', 'lost')),
    converted_at           integer,
    converted_customer_id  integer,
    version                integer not null default 1,
    created_at             integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at             integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, converted_customer_id),
    foreign key (tenant_id, converted_customer_id) references customers (tenant_id, id)
);

-- Money that came in for an invoice; a refund is negative. reference: the bank's or the provider's, once per tenant.
create table payments (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    invoice_id   integer not null,
    customer_id  integer not null,
    reference    text not null check (reference <> ''),
    method       text not null,
    amount       text not null check (amount glob '*[0-9]*' and not amount glob '*[^-0-9.]*' and cast(amount as real) <> 0),
    received_at  integer not null,
    user_id      integer,
    created_at   integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, reference),
    foreign key (tenant_id, invoice_id) references invoices (tenant_id, id),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index payments_by_invoice on payments (tenant_id, invoice_id);
create index payments_by_customer on payments (tenant_id, customer_id);

-- Each invoice is reminded of once per stage: 1, 7 and 30 days after its last day to pay.
create table invoice_reminders (
    tenant_id   integer not null references fairlane_tenants (id),
    invoice_id  integer not null,
    stage       integer not null check (stage > 0),
    noticed_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (tenant_id, invoice_id, stage),
    foreign key (tenant_id, invoice_id) references invoices (tenant_id, id)
);

create table vendors (
    id              integer primary key autoincrement,
    tenant_id       integer not null references fairlane_tenants (id),
    code            text check (code <> ''),
    name            text not null check (name <> ''),
    email           text,
    phone           text,
    address         text,
    lead_time_days  integer check (lead_time_days between 0 and 3650),
    active          integer not null default 1 check (active in (0, 1)),
    version         integer not null default 1,
    created_at      integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at      integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, code)
);
create index vendors_by_name on vendors (tenant_id, lower(name));

create table purchase_orders (
    id            integer primary key autoincrement,
    tenant_id     integer not null references fairlane_tenants (id),
    number        text not null,
    vendor_id     integer not null,
    status        text not null default 'draft' check (status in ('draft', 'pending', 'approved', 'received', 'cancelled')),
    currency      text not null,
    decimals      integer not null check (decimals between 0 and 4),
    total         text not null check (total glob '*[0-9]*' and not total glob '*[^-0-9.]*'),
    requested_by  integer,
    approved_by   integer,
    ordered_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    approved_at   integer,
    received_at   integer,
    cancelled_at  integer,
    expected_on   text,
    version       integer not null default 1,
    created_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, number),
    foreign key (tenant_id, vendor_id) references vendors (tenant_id, id),
    foreign key (tenant_id, requested_by) references users (tenant_id, id),
    foreign key (tenant_id, approved_by) references users (tenant_id, id)
);
create index purchase_orders_by_vendor on purchase_orders (tenant_id, vendor_id, id);
create index purchase_orders_by_status on purchase_orders (tenant_id, status, id);

create table purchase_order_lines (
    id                 integer primary key autoincrement,
    tenant_id          integer not null references fairlane_tenants (id),
    purchase_order_id  integer not null,
    line_no            integer not null check (line_no > 0),
    product_id         integer not null,
    sku                text,
    description        text not null,
    quantity           text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*' and cast(quantity as real) > 0),
    unit_cost          text not null check (unit_cost glob '*[0-9]*' and not unit_cost glob '*[^0-9.]*'),
    received           text not null default '0' check (received glob '*[0-9]*' and not received glob '*[^0-9.]*'),
    unique (tenant_id, id),
    unique (tenant_id, purchase_order_id, line_no),
    foreign key (tenant_id, purchase_order_id) references purchase_orders (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);

create table goods_receipts (
    id                 integer primary key autoincrement,
    tenant_id          integer not null references fairlane_tenants (id),
    number             text not null,
    purchase_order_id  integer not null,
    location_id        integer not null,
    received_at        integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    posted_at          integer,
    user_id            integer,
    created_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, number),
    foreign key (tenant_id, purchase_order_id) references purchase_orders (tenant_id, id),
    foreign key (tenant_id, location_id) references locations (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index goods_receipts_by_order on goods_receipts (tenant_id, purchase_order_id);

create table goods_receipt_lines (
    id               integer primary key autoincrement,
    tenant_id        integer not null references fairlane_tenants (id),
    receipt_id       integer not null,
    line_no          integer not null check (line_no > 0),
    order_line_no    integer not null,
    product_id       integer not null,
    quantity         text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*' and cast(quantity as real) > 0),
    unit_cost        text not null check (unit_cost glob '*[0-9]*' and not unit_cost glob '*[^0-9.]*'),
    lot              text,
    expires_on       text,
    unique (tenant_id, id),
    unique (tenant_id, receipt_id, line_no),
    foreign key (tenant_id, receipt_id) references goods_receipts (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);

create table reports (
    id             integer primary key autoincrement,
    tenant_id      integer not null references fairlane_tenants (id),
    user_id        integer,
    report_type    text not null,
    file_name      text,
    parameters     text not null default '{}',
    status         text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
    error_message  text,
    job_id         text,
    generated_at   integer,
    failed_at      integer,
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index reports_by_type on reports (tenant_id, report_type);
create index reports_by_status on reports (tenant_id, status);

create table sync_logs (
    id             integer primary key autoincrement,
    tenant_id      integer not null references fairlane_tenants (id),
    sync_type      text not null,
    status         text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
    error_message  text,
    job_id         text,
    synced_at      integer,
    failed_at      integer,
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id)
);
create index sync_logs_by_type on sync_logs (tenant_id, sync_type);
create index sync_logs_by_status on sync_logs (tenant_id, status);

-- A movement is final.
create trigger stock_movements_final before update on stock_movements begin
    select raise(abort, 'stock movements are never changed: record one that reverses it');
end;
create trigger stock_movements_kept before delete on stock_movements begin
    select raise(abort, 'stock movements are never changed: record one that reverses it');
end;
